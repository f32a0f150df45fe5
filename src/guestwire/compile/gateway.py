"""A network that the host is the gateway of: it passes packets on for its guests, in its own name where NAT is on.

All rules name the network's own links, since a host's nft rules see bridged frames too: bridge-nf-call-iptables is 1 in
every new namespace. Such a frame has the bridge as the link that it comes in by and, in chain forward, as the one that
it leaves by; in chain postrouting it has none that it came in by (net/bridge/br_netfilter_hooks.c). So

    iifname "br0" oifname != "br0" ip saddr 10.77.0.0/24 masquerade

meets what the host itself passes on from br0, no frame that is bridged, on br0 or another bridge.

Forwards (DNAT) have four cases: who asks is somewhere outside; a guest of this network, who must then be answered by
way of the host, and so is masqueraded; the host itself, whose packets pass chain output; somebody on another bridge of
the host's, by that bridge's own address. What is bridged there, and only looks as if it were for the host, stays as it
is: `fib daddr . iif type local`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Annotated

from pydantic import BeforeValidator, Field

from guestwire.compile.firewall import Flow, through
from guestwire.compile.forwarding import forward, looked_at, way_out
from guestwire.compile.leading import leading
from guestwire.compile.parts import BuiltGuest, BuiltNetwork
from guestwire.compile.site import Seat, Site
from guestwire.errors import Problem
from guestwire.picture import Key, Picture
from guestwire.printable import quote
from guestwire.spec.file import File
from guestwire.spec.models import Forward
from guestwire.spec.report import Where, meant
from guestwire.spec.scalars import Flag, listed

__all__ = ["Gateway", "guard"]

FAMILIES = {4: ("ip", "ipv4"), 6: ("ip6", "ipv6")}


class Gateway(BuiltNetwork):
    """A network type whose guests may reach beyond the host through it."""

    nat: Flag = Field(False, description="guests reach all that the host reaches, in the host's name (masquerade)")
    forward: Annotated[tuple[Forward, ...], BeforeValidator(listed)] = Field(
        (), description="with nat: ports of the host's that lead to guests, as {host: 8080, to: web, port: 80}"
    )

    def put(self, path: Where) -> None:
        super().put(path)
        for i, each in enumerate(self.forward):
            each.put((*path, "forward", i))

    @property
    def passes_on(self) -> bool:
        return self.nat

    @property
    def versions(self) -> list[int]:
        """The families that its guests have addresses of."""
        return [net.version for net in self.subnet]

    def looks_at(self, seen: Picture, host: str) -> Iterable[Key]:
        return looked_at(seen, host) if self.passes_on else ()

    def check_passing(self, file: File) -> Iterator[Problem]:
        """What is wrong with `nat` and `forward`."""
        if self.nat and not self.subnet:
            message = "nat without subnet: there are no addresses to translate."
            yield file.problem(self.at("nat"), message, "Give it a subnet, as subnet: 10.77.0.0/24.")
        if self.forward and not self.nat:
            message = "forward without nat: without it a guest is reached by its own address, or not at all."
            yield file.problem(self.at("forward"), message, "Write nat: true, or leave forward out.")
        for each in self.forward:
            yield from self._check_target(file, each)
            first = next(other for other in _forwards(file) if (other.proto, other.host) == (each.proto, each.host))
            if first is not each:
                message = f"{each.proto} port {each.host} of the host leads to {quote(first.to)} already."
                yield file.problem(each.at("host"), message, "Use another: each port leads to one guest.")

    def _check_target(self, file: File, forward: Forward) -> Iterator[Problem]:
        instance = file.instance(forward.to)
        if instance is None and (many := file.guests.get(forward.to)) is not None:
            message = f"to: {quote(forward.to)} has a count of {many.count}, and a port leads to one guest."
            yield file.problem(forward.at("to"), message, f"Name one: {forward.to}-1 … {forward.to}-{many.count}.")
        elif instance is None:
            hint = meant(forward.to, [each.name for each in file.expand()])
            yield file.problem(forward.at("to"), f"to: there is no guest {quote(forward.to)}.", hint)
        elif all(nic.network != self.name for nic in instance.guest.nics):
            message = f"to: guest {quote(forward.to)} has no NIC on this network."
            yield file.problem(forward.at("to"), message, f"Plug it in, as nics: [{self.name}], or name another.")

    def pass_on(self, site: Site, seats: Sequence[Seat], links: Sequence[str]) -> None:
        """Have the host pass packets on between the network, which is behind these links of the host's, and beyond."""
        forward(site, self.versions, links, self.uplink)
        self._must_pass(site, links)
        if self.nat and links:
            inside = site.rules.links(self.name, links)
            self._masquerade(site, inside)
            self._let_in(site, seats, inside)
            guard(site, inside)

    def _masquerade(self, site: Site, inside: str) -> None:
        for net in self.subnet:
            word = FAMILIES[net.version][0]
            site.rules.add(
                "postrouting",
                f"iifname {inside} oifname != {inside} {word} saddr {net} masquerade",
                *([f"oifname {inside} {word} saddr {net} ct status dnat masquerade"] if self.forward else []),
            )

    def _let_in(self, site: Site, seats: Sequence[Seat], inside: str) -> None:
        for each in self.forward:
            site.doors.append((each.at("host"), each.proto, each.host, each.to))
            addresses = [a.partition("/")[0] for seat in seats if seat.guest == each.to for a in seat.addresses]
            found = {version: a for a in reversed(addresses) for version in FAMILIES if (":" in a) == (version == 6)}
            if not found:
                message = f"to: nothing says which address guest {quote(each.to)} has on this network."
                site.refuse(each.at("to"), message, "Give its NIC an address, or leave `address: dhcp` out.")
            for version, address in sorted(found.items()):
                self._see_answers_come_back(site, each, version)
                word, protocol = FAMILIES[version]
                target = f"[{address}]" if version == 6 else address
                site.rules.add(
                    "forwards",
                    f"meta nfproto {protocol} {each.proto} dport {each.host} "
                    f"dnat {word} to {target}:{each.port or each.host}",
                )
        if self.forward:
            site.rules.add(
                "prerouting",
                'meta iifkind != "bridge" fib daddr type local jump forwards',
                'meta iifkind "bridge" fib daddr . iif type local jump forwards',
                f"iifname {inside} fib daddr type local jump forwards",
            )
            own = ("ip daddr 127.0.0.0/8 return", "ip6 daddr ::1 return")  # the host's services for itself alone
            site.rules.add("output", *own, "fib daddr type local jump forwards")

    def _see_answers_come_back(self, site: Site, forward: Forward, version: int) -> None:
        """Warn where a guest of several NICs answers by another than it is asked by: who asked knows nothing of that.

        A machine that sets itself up, and a container, have routes of their own.
        """
        instance = site.file.instance(forward.to)
        guest = instance.guest if instance else None
        if not isinstance(guest, BuiltGuest) or not guest.is_set_up or guest.keeper or len(guest.nics) < 2:
            return
        way = leading(site, [site.seats[forward.to, nic.index] for nic in guest.nics], version)
        if way is None or way.seat.nic.network != self.name:
            by = f"by network {quote(way.seat.nic.network)}" if way else "nowhere"
            message = (
                f"to: guest {quote(forward.to)} answers by its default route, which leads {by}: who asks hears nothing."
            )
            site.warn(forward.at("to"), message, "Write default-route: true at its NIC on this network.")

    def _must_pass(self, site: Site, links: Sequence[str]) -> None:
        """Note what a firewall on the host must let pass."""
        for net in self.subnet if links else ():
            out = self.uplink or way_out(site, net.version)
            if out is None:
                continue
            site.flows += [(self.path, flow) for flow in through(net, links, out, begun=not self.nat)]
            for each in self.forward:
                rule = f"oifname {links[0]} ct status dnat" if len(links) == 1 else f"ip daddr {net} ct status dnat"
                flow = Flow(
                    f"port {each.host}'s way to {each.to}",
                    links[0] if len(links) == 1 else str(net),
                    rule,
                    net.version,
                    iif=out,
                    oif=links[0],
                    target=str(net[-1]),
                    proto=each.proto,
                    port=each.port or each.host,
                    dnat=True,
                )
                site.flows.append((each.path, flow))

    def targets(self) -> frozenset[str]:
        """The guests that ports lead to."""
        return frozenset(each.to for each in self.forward)


def guard(site: Site, inside: str, *, out: bool = True) -> None:
    """Let in what answers, and what came by a forward; nothing else may begin from beyond. Not `out`: nor go there."""
    beyond = f"oifname {inside} iifname != {inside}"
    site.rules.add(
        "forward",
        *([f"{beyond} ct state established,related accept", f"{beyond} ct status dnat accept"] if out else []),
        f"{beyond} reject with icmpx admin-prohibited",
        *([] if out else [f"iifname {inside} oifname != {inside} reject with icmpx admin-prohibited"]),
    )


def _forwards(file: File) -> Iterator[Forward]:
    """Every forward of the file, in its order."""
    for network in file.networks.values():
        if isinstance(network, Gateway):
            yield from network.forward
