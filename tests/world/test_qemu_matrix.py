"""Machines reach whom namespaces reach: on bridges, by macvtap in every mode, routed; both families, with and without
relay.

Two of each have a NIC on every network, so all is measured with one boot. In passthru a NIC is one guest's alone: at
the end each of the four has one on an uplink of its own, all of one LAN.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.sandbox import Sandbox
from tests.world.consoles import Console, logged, machine

Ask = Callable[[str], str]
"""Runs a shell script in a guest, and has what it prints."""

UPLINKED = {
    "plain": "{type: bridge, uplink: eth0}",
    "vepa": "{type: macvtap, uplink: eth1, mode: vepa}",
    "direct": "{type: macvtap, uplink: eth2, mode: bridge}",
    "private": "{type: macvtap, uplink: eth3, mode: private}",
    "source": "{type: macvtap, uplink: eth4, mode: source, macs: [%s]}",
}
"""In the order of their LANs."""
HEADS = dict(zip(UPLINKED, ("192.0.2.", "198.51.100.", "198.18.0.", "198.18.1.", "198.18.2."), strict=True))
SUBNETS = {"nat": ("10.77.0.", "fd00:77::"), "routed": ("10.88.0.", "fd00:88::")}
PEERS = {"vepa": False, "direct": True, "private": False, "source": False}
"""Whether two guests reach each other without relay; with it, those of vepa and source do, too."""
NAMESPACES, MACHINES = ("n1", "n2"), ("a", "b")
WHO = {"n1": 201, "n2": 202, "a": 211, "b": 212}
MACS = {guest: f"02:00:00:00:00:{number:02x}" for guest, number in WHO.items()}
OWN = {guest: f"02:00:00:00:01:{number:02x}" for guest, number in WHO.items()}
"""MACs in mode source, and in passthru."""
HOST, NOBODY, NEIGHBOUR = 10, 99, 100
ROUTED = f"eth{len(UPLINKED) + 1}"
TRIES = 5
ONCE = "ping -c1 -w2 $a >/dev/null 2>&1 && echo yes=$a= && break"
ASKING = f"sh -c 'for a in {{addresses}}; do (for n in 1 2 3; do {ONCE}; done) & done; wait'"


def _addresses(network: str, number: int) -> tuple[str, str]:
    """Those of a number, in both families."""
    if network in SUBNETS:
        four, six = SUBNETS[network]
        return f"{four}{number}", f"{six}{number}"
    return f"{HEADS[network]}{number}", f"2001:db8:{list(HEADS).index(network) + 1}::{number}"


def _nic(network: str, guest: str, mac: str = "") -> str:
    four, six = _addresses(network, WHO[guest])
    return f'{{network: {network}, address: [{four}, "{six}"]{mac and f", mac: {json.dumps(mac)}"}}}'


def _set_up(link: str, network: str, guest: str, prefixes: tuple[int, int] = (24, 64)) -> str:
    """The word by which a machine gives a NIC its addresses."""
    return f"nic={link}," + ",".join(map("{}/{}".format, _addresses(network, WHO[guest]), prefixes))


def _file(relay: bool, *, whole: bool = False) -> str:
    """All networks at once; with `whole` a NIC in passthru for each guest, all on one LAN."""
    heard = ", ".join(f'"{mac}"' for mac in MACS.values())
    lines = ["name: lab", f"lab: {{relay: {str(relay).lower()}, same-lan: {str(whole).lower()}}}", "networks:"]
    if whole:
        lines += [f"  own-{guest}: {{type: macvtap, uplink: eth{n}, mode: passthru}}" for n, guest in enumerate(WHO)]
    else:
        lines += ['  nat: {type: bridge, subnet: [10.77.0.0/24, "fd00:77::/64"], nat: true, dhcp: true}']
        lines += [f"  {name}: {keys.replace('%s', heard)}" for name, keys in UPLINKED.items()]
        lines += ['  routed: {type: routed, subnet: [10.88.0.0/24, "fd00:88::/64"]}']
    lines += ["guests:"]
    for guest in WHO:
        nics = [_nic(name, guest, MACS[guest] if name == "source" else "") for name in ("nat", *UPLINKED, "routed")]
        if whole:
            nics = [_nic("plain", guest, OWN[guest]).replace("network: plain", f"network: own-{guest}")]
        listed = f"[{', '.join(nics)}]"
        settings = [f"nic=eth0,dhcp,{_addresses('nat', WHO[guest])[1]}/64,via=fd00:77::1"]
        settings += [_set_up(f"eth{n}", name, guest) for n, name in enumerate(UPLINKED, 1)]
        settings += [_set_up(ROUTED, "routed", guest, (32, 128)), _set_up(OWN[guest], "plain", guest)]
        lines.append(f"  {guest}: {machine(listed, *settings) if guest in MACHINES else f'{{nics: {listed}}}'}")
    return "\n".join(lines) + "\n"


def _answered(run: Ask, targets: dict[str, str], wanted: Iterable[str]) -> dict[str, bool]:
    """Who of the targets, by their addresses, answers; all are asked at once.

    Those who are wanted to, and are slow, are asked again: a machine shares its processor with many.
    """
    found: dict[str, bool] = dict.fromkeys(targets, False)
    asked = list(targets)
    for _ in range(TRIES):
        said = run(ASKING.format(addresses=" ".join(targets[name] for name in asked)))
        answered = set(re.findall(r"yes=([0-9a-f.:]+)=", said))
        found |= {name: True for name in asked if targets[name] in answered}
        asked = [name for name in wanted if not found[name]]
        if not asked:
            break
    return found


def _each(asked: Iterable[tuple[str, tuple[str, str]]]) -> dict[str, str]:
    """An address to ask for each name and family."""
    return {f"{name} {family}": address for name, both in asked for family, address in zip("46", both, strict=True)}


def _targets(relay: bool) -> dict[str, str]:
    """Whom each asks: the others, and on each LAN the host and the neighbour."""
    asked = [("internet", ("203.0.113.1", "2001:db8:ffff::1")), ("plain host", _addresses("plain", HOST))]
    asked += [("nat gateway", _addresses("nat", 1))]
    segments = [name for name in UPLINKED if not (relay and name == "plain")]  # _plain_under_relay has that
    for name in segments:
        asked += [(f"{name} host", _addresses(name, HOST)), (f"{name} neighbour", _addresses(name, NEIGHBOUR))]
    asked += [(f"{name} {like}", _addresses(name, WHO[like])) for name in (*segments, *SUBNETS) for like in ("n2", "b")]
    return _each(asked)


def _known(relay: bool) -> dict[str, bool]:
    """Whom a guest reaches, as the kernel's macvlan and bridge have it; who isn't named here is reached."""
    reflected = {"vepa", "direct"} if relay else set()
    found = {
        f"{name} n2": name not in PEERS or PEERS[name] or (relay and name in ("vepa", "source")) for name in UPLINKED
    }
    found |= {f"{name} host": name == "plain" or name in reflected for name in UPLINKED}
    return found | {"source neighbour": False}  # whose MAC isn't listed


def _compare(asks: dict[str, Ask], relay: bool) -> None:
    """Compare what a namespace reaches with what is known, and with what a machine reaches."""
    targets, known = _targets(relay), _known(relay)
    expected = {name: known.get(name[:-2].replace(" b", " n2"), True) for name in targets}
    found = _measured(asks, ("n1", "a"), targets, expected)
    assert found["n1"] == expected, f"a namespace, relay: {relay}"
    assert found["a"] == found["n1"], f"a machine, relay: {relay}"


def _asks(sandbox: Sandbox, consoles: dict[str, Console]) -> dict[str, Ask]:
    """How each guest runs a script."""

    def within(guest: str) -> Ask:
        return lambda script: sandbox.run("ip", "netns", "exec", f"lab-{guest}", "sh", "-c", script).stdout

    return {**{guest: within(guest) for guest in NAMESPACES}, **{name: each.run for name, each in consoles.items()}}


def _measured(
    asks: dict[str, Ask], who: Iterable[str], targets: dict[str, str], expected: dict[str, bool]
) -> dict[str, dict[str, bool]]:
    wanted = [name for name in targets if expected[name]]
    with ThreadPoolExecutor() as pool:
        asked = {guest: pool.submit(_answered, asks[guest], targets, wanted) for guest in who}
        return {guest: told.result() for guest, told in asked.items()}


def _plain_under_relay(sandbox: Sandbox, asks: dict[str, Ask]) -> None:
    """What of a bridge with an uplink behind a switch that reflects is sure; for namespaces and machines alike.

    What a guest broadcasts comes back by the uplink, and the bridge takes it for there from then on, until the guest
    next sends to the bridge or to a neighbour that it knows. An answer that is on its way meanwhile is lost. So those
    who know each other's MACs, as from before the relay, reach each other. Whether one who must ask by ARP or NDP first
    hears the answer is a race with the reflected question, and for namespaces the order of the bridge's ports decides
    it: there is nothing to compare.
    """
    host = " ".join(_addresses("plain", HOST))
    for asker in ("n1", "a"):
        for like in ("n2", "b"):
            for address in _addresses("plain", WHO[like]):
                for _ in range(TRIES):
                    for guest in (like, asker):  # both are heard on their own ports
                        asks[guest](f"for a in {host}; do ping -c1 -w2 $a; done")
                    if " 0% packet loss" in asks[asker](f"ping -c1 -w2 {address}"):
                        break
                else:
                    pytest.fail(f"{asker} knows {like} and doesn't reach it as {address}")
    guests = {guest["name"]: guest for guest in sandbox.json("status")["guests"]}
    for guest in ("n1", "a"):
        mac = next(nic["mac"] for nic in guests[guest]["nics"] if nic["network"] == "plain")
        for address in _addresses("plain", NOBODY):
            for _ in range(TRIES):
                asks[guest](f"ping -c1 -w1 {address} || true")
                if f"{mac} dev eth0 " in sandbox.sh("bridge -n lab-host fdb show br lab-plain"):
                    break
            else:
                pytest.fail(f"{guest} asked everybody for {address}, and the bridge knows where it is")


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_machines_reach_whom_namespaces_reach(sandbox: Sandbox) -> None:
    before = sandbox.snapshot()
    sandbox.write(_file(relay=False))
    sandbox.guestwire("up", "--lab")
    for guest in MACHINES:
        logged(sandbox, guest, "guest: up\n")
    with Console(sandbox, "a") as a, Console(sandbox, "b") as b:
        for console in (a, b):
            console.run(
                f"ip route add 169.254.1.1 dev {ROUTED}; ip route add 10.88.0.0/24 via 169.254.1.1 dev {ROUTED}"
            )
            console.run(f"ip -6 route add fd00:88::/64 via fe80::1 dev {ROUTED}")
        asks = _asks(sandbox, {"a": a, "b": b})
        for relay in (False, True):
            sandbox.write(_file(relay))
            sandbox.guestwire("up", "--no-guard")
            if relay:
                _plain_under_relay(sandbox, asks)
            _compare(asks, relay)
        for relay in (True, False):
            sandbox.write(_file(relay, whole=True))
            sandbox.guestwire("up", "--no-guard")
            _measure_passthru(asks)
    sandbox.guestwire("down")
    assert sandbox.snapshot() == before


def _measure_passthru(asks: dict[str, Ask]) -> None:
    """All four reach one another and the LAN, and nobody the host, whose NICs are the guests'."""
    asked = [(guest, _addresses("plain", number)) for guest, number in {**WHO, "neighbour": NEIGHBOUR}.items()]
    targets = _each([*asked, ("host", _addresses("plain", HOST))])
    expected = {name: not name.startswith("host") for name in targets}
    assert _measured(asks, WHO, targets, expected) == dict.fromkeys(WHO, expected)
