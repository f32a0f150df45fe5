"""Whether somebody else's firewall stops a network's packets: each is taken through the host's chains, as nft would.

At each hook every table's chains are asked, and each must let a packet pass: an accept in one overrules no drop in
another (nft(8)). So what guestwire's own table says can't help, and others' tables aren't ours to change. What can be
done is to say which chain it is, and the rule that its owner would put there.

What a rule asks that can't be told here (a mark, a rate, an xt match of iptables) counts as no match; but that an
answer is let in by one of them is taken for granted.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import Any

from guestwire.linux.nftables import Chain

__all__ = ["Flow", "Stop", "stops", "taken", "through"]

OURS = "guestwire-"
LEADING = ("dnat", "redirect", "DNAT", "REDIRECT")
DEEPEST = 16  # jumps, as the kernel has it (NFT_JUMP_STACK_SIZE)
SOMEBODY = {4: "203.0.113.1", 6: "2001:db8:ffff::1"}  # far away; any would do
TABLES = {4: ("ip", "inet"), 6: ("ip6", "inet")}


@dataclass(frozen=True)
class Flow:
    """A packet that a network needs to pass: at which hook, from where to where, and what it is, in words.

    `inside` is the network's link, or its subnet; `rule` is what a firewall's owner would let it pass by, without the
    verdict. An answer has state "established".
    """

    what: str
    inside: str
    rule: str
    family: int
    hook: str = "forward"
    iif: str = ""
    oif: str = ""
    source: str = ""
    target: str = ""
    state: str = "new"
    proto: str = ""
    port: int = 0
    dnat: bool = False


@dataclass(frozen=True)
class Stop:
    """A flow that a chain stops: the chain that the kernel calls, and how, as "policy drop"."""

    flow: Flow
    chain: Chain
    how: str
    user: str
    """The chain of that table which is its user's, before all else: the same, but for Docker's."""

    @property
    def place(self) -> str:
        """The table and the chain."""
        return f"table {self.chain.family} {self.chain.table}, chain {self.chain.name}"

    @property
    def remedy(self) -> str:
        """The command that lets it pass."""
        if self.chain.table == "firewalld":
            what = "source" if "/" in self.flow.inside else "interface"
            return f"firewall-cmd --zone=trusted --add-{what}={self.flow.inside}"
        return f"nft insert rule {self.chain.family} {self.chain.table} {self.user} {self.flow.rule} accept"


def through(net: IPv4Network | IPv6Network, links: Sequence[str], out: str, begun: bool = True) -> Iterator[Flow]:
    """What a network needs to pass between its guests, behind these links of the host's, and beyond the link `out`.

    `begun` says that others may begin: else only their answers need to pass.
    """
    word = "ip" if net.version == 4 else "ip6"
    inside = links[0] if len(links) == 1 else str(net)
    sent, got = (f"iifname {inside}", f"oifname {inside}")
    if len(links) > 1:
        sent, got = f"{word} saddr {net}", f"{word} daddr {net}"
    guest, other = str(net[-1]), SOMEBODY[net.version]
    away = Flow("what guests send out", inside, sent, net.version, "forward", links[0], out, guest, other)
    yield away
    what, rule, state = "what is sent to guests", got, "new"
    if not begun:
        what, rule, state = "answers to guests", f"{got} ct state related,established", "established"
    yield replace(away, what=what, rule=rule, iif=out, oif=links[0], source=other, target=guest, state=state)


def stops(chains: Sequence[Chain], flows: Iterable[Flow]) -> Iterator[Stop]:
    """Each flow that is stopped, with the first chain that does."""
    named = {(chain.family, chain.table, chain.name): chain for chain in chains}
    theirs = [chain for chain in chains if chain.type == "filter" and not chain.table.startswith(OURS)]
    for flow in flows:
        for chain in theirs:
            if chain.hook == flow.hook and chain.family in TABLES[flow.family]:
                verdict = _walk(named, chain, flow, 0) or chain.policy or "accept"
                if verdict != "accept":
                    own = (chain.family, chain.table, "DOCKER-USER") in named and flow.hook == "forward"
                    how = verdict if verdict != chain.policy else f"policy {verdict}"
                    yield Stop(flow, chain, how, "DOCKER-USER" if own else chain.name)
                    break


def taken(chains: Sequence[Chain], proto: str, port: int, own: str) -> Chain | None:
    """The first chain of another table than `own` that leads who asks for a port of the host's somewhere else."""
    asked = Flow("", "", "", 4, proto=proto, port=port)
    for chain in chains:
        for rule in chain.rules if chain.table != own else ():
            parts = [_only(each) for each in rule if isinstance(each, dict) and each]
            ports = [body for name, body in parts if name == "match" and _asks_port(body)]
            leads = any(name in LEADING or (name == "xt" and body.get("name") in LEADING) for name, body in parts)
            if leads and ports and all(_matches(each, asked) for each in ports):
                return chain
    return None


def _asks_port(match: Any) -> bool:
    kind, body = _only(match["left"]) if isinstance(match["left"], dict) and match["left"] else ("", {})
    return kind == "payload" and body.get("field") == "dport"


def _walk(named: Mapping[tuple[str, str, str], Chain], chain: Chain, flow: Flow, depth: int) -> str | None:
    """What a chain says of a packet: accept, drop or reject; None where it comes to its end, or returns."""
    for rule in chain.rules if depth < DEEPEST else ():
        matched: bool | None = True
        for expression in rule:
            name, body = _only(expression) if isinstance(expression, dict) and expression else ("xt", {})
            if name == "vmap":
                name, body = _looked_up(body, flow)
            if name in ("match", "xt", "limit", "quota"):
                found = _matches(body, flow) if name == "match" else None
                matched = False if found is False else None if found is None else matched
                if matched is False:
                    break
            elif name == "accept" and (matched or flow.state == "established"):
                return "accept"
            elif name in ("drop", "reject") and matched:
                return str(name)
            elif name == "return" and matched:
                return None
            elif name in ("jump", "goto") and matched:
                below = named.get((chain.family, chain.table, body["target"]))
                verdict = _walk(named, below, flow, depth + 1) if below else None
                if verdict or name == "goto":
                    return verdict
    return None


def _looked_up(vmap: Any, flow: Flow) -> tuple[str, Any]:
    """The verdict that a map has for a packet, as an expression; one that says nothing where it can't be told."""
    pairs = vmap.get("data", {}).get("set", ()) if isinstance(vmap.get("data"), dict) else ()
    for key, verdict in pairs:
        if _matches({"op": "==", "left": vmap["key"], "right": key}, flow):
            return _only(verdict)
    return "counter", None


def _matches(match: Any, flow: Flow) -> bool | None:
    """Whether a packet is what a match asks for; None where that can't be told."""
    have = _value(match["left"], flow)
    if have is None:
        return None
    found = any(_is(have, wanted) for wanted in _listed(match["right"])) if have else False
    return found if match["op"] in ("==", "in") else not found if match["op"] == "!=" else None


def _value(left: Any, flow: Flow) -> tuple[str, ...] | None:
    """What a packet has of what is asked; nothing where it has none of it, None where that can't be told."""
    kind, body = _only(left) if isinstance(left, dict) and left else ("", {})
    if kind == "meta":
        family = ("ipv4" if flow.family == 4 else "ipv6",)
        known = {"iifname": (flow.iif,), "iif": (flow.iif,), "oifname": (flow.oif,), "oif": (flow.oif,)}
        return {**known, "nfproto": family, "l4proto": (flow.proto,) if flow.proto else ()}.get(body["key"])
    if kind == "ct":
        return {"state": (flow.state,), "status": ("dnat",) if flow.dnat else ()}.get(body["key"])
    if kind == "payload":
        protocol, field = body.get("protocol"), body.get("field")
        if protocol in ("ip", "ip6") and field in ("saddr", "daddr"):
            right = (protocol == "ip") == (flow.family == 4)
            return (flow.source if field == "saddr" else flow.target,) if right else ()
        if field == "dport":
            return (str(flow.port),) if flow.proto in (protocol, "" if protocol == "th" else None) and flow.port else ()
        return () if protocol in ("tcp", "udp", "icmp", "icmpv6") and flow.proto != protocol else None
    return None


def _only(expression: Mapping[str, Any]) -> tuple[str, Any]:
    """The one name and body that an expression of nft's JSON is made of."""
    return next(iter(expression.items()))


def _listed(right: Any) -> list[Any]:
    if isinstance(right, dict) and "set" in right:
        inner = right["set"]
        return list(inner) if isinstance(inner, list) else [inner]
    return list(right) if isinstance(right, list) else [right]


def _is(have: Sequence[str], wanted: Any) -> bool:
    if isinstance(wanted, dict):
        if "prefix" in wanted:
            net = ip_network(f"{wanted['prefix']['addr']}/{wanted['prefix']['len']}", strict=False)
            return any(ip_address(each) in net for each in have if each)
        if "range" in wanted:
            low, high = wanted["range"]
            if isinstance(low, int):
                return any(low <= int(each) <= high for each in have)
            return any(_order(low) <= _order(each) <= _order(high) for each in have if each)
        return "elem" in wanted and _is(have, wanted["elem"]["val"])
    text = str(wanted)
    if text.endswith("*"):
        return any(each.startswith(text[:-1]) for each in have)
    return text in have


def _order(address: str) -> tuple[int, int]:
    parsed = ip_address(address)
    return parsed.version, int(parsed)
