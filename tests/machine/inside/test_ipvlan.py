"""ipvlan in each mode with each flag: whom its guests reach, with a switch that sends back and one that doesn't.

Each combination is on an uplink of its own. Those whose packets the host routes have a subnet of their own, and the
LAN's neighbour a route to it by way of the host.
"""

from __future__ import annotations

import re
from itertools import product

import pytest

from tests.sandbox import Sandbox

WAYS = {f"{mode}-{flag}": (mode, flag) for mode, flag in product(("l2", "l3", "l3s"), ("bridge", "private", "vepa"))}
FAMILIES = (4, 6)
OTHER, NEIGHBOUR, HOST = "the other guest", "the neighbour", "the host"


def _head(number: int, family: int) -> str:
    """What the addresses on a LAN start with (guestwire's docs/lab.md)."""
    if family == 6:
        return f"2001:db8:{number + 1}::"
    return ("192.0.2.", "198.51.100.")[number] if number < 2 else f"198.18.{number - 2}."


def _own(number: int, family: int) -> str:
    """What the addresses of a subnet start with."""
    return f"fd00:{90 + number}::" if family == 6 else f"10.{90 + number}.0."


def _file(relay: bool) -> str:
    lines = ["name: lab", f"lab: {{relay: {str(relay).lower()}, dhcp: false}}", "networks:"]
    guests = ["guests:"]
    for number, (name, (mode, flag)) in enumerate(WAYS.items()):
        subnet = "" if mode == "l2" else f', subnet: [{_own(number, 4)}0/24, "{_own(number, 6)}/64"]'
        lines.append(f"  {name}: {{type: ipvlan, uplink: eth{number}, mode: {mode}, flag: {flag}{subnet}}}")
        for guest, last in (("a", 201), ("b", 202)):
            addresses = ", ".join(f'"{_address(name, family, last)}"' for family in FAMILIES)
            guests.append(f"  {guest}-{name}: {{nics: [{{network: {name}, address: [{addresses}]}}]}}")
    return "\n".join([*lines, *guests]) + "\n"


def _address(name: str, family: int, last: int) -> str:
    number = list(WAYS).index(name)
    return f"{(_head if WAYS[name][0] == 'l2' else _own)(number, family)}{last}"


def _reached(sandbox: Sandbox) -> dict[tuple[str, int], set[str]]:
    """Whom the first guest of each network reaches; all are asked at once."""
    asked = {}
    for (number, name), family in product(enumerate(WAYS), FAMILIES):
        whole = {OTHER: _address(name, family, 202), NEIGHBOUR: f"{_head(number, family)}100"}
        for whom, address in {**whole, HOST: f"{_head(number, family)}10"}.items():
            asked[f"lab-a-{name} {address}"] = (name, family, whom)
    pings = "".join(
        f"(ip netns exec {each.replace(' ', ' ping -c1 -w8 ')} >/dev/null 2>&1 && echo 'yes {each}') &\n"
        for each in asked
    )
    answered = re.findall("yes (.*)", sandbox.run("sh", "-c", f"{pings} wait").stdout)
    found: dict[tuple[str, int], set[str]] = {pair: set() for pair in product(WAYS, FAMILIES)}
    for name, family, whom in map(asked.__getitem__, answered):
        found[name, family].add(whom)
    return found


def _expected(mode: str, flag: str, relay: bool) -> set[str]:
    """Whom a guest reaches, as ipvlan_core.c has it.

    With vepa what is for the other guest goes out. In l2 a switch may send it back; in the others it goes to the
    router, which here knows no way back. A switch that sends back also has guests and their host hear each other.
    """
    found = {NEIGHBOUR}
    if flag == "bridge" or (flag == "vepa" and mode == "l2" and relay):
        found.add(OTHER)
    if mode == "l2" and relay:
        found.add(HOST)
    return found


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_whom_guests_reach_in_each_mode_with_each_flag(sandbox: Sandbox) -> None:
    before = sandbox.snapshot()
    sandbox.write(_file(relay=False))
    sandbox.guestwire("up", "--lab")
    routes = ""
    for number, family in product(range(len(WAYS)), FAMILIES):
        subnet = f"{_own(number, family)}{'0/24' if family == 4 else '/64'}"
        routes += f"ip -n lab-lan route add {subnet} via {_head(number, family)}10\n"
    sandbox.sh(routes)
    for relay in (False, True):
        sandbox.write(_file(relay))
        sandbox.guestwire("up", "--no-guard")
        found = _reached(sandbox)
        assert found == {pair: _expected(*WAYS[pair[0]], relay) for pair in found}, f"relay: {relay}"
    sandbox.guestwire("down")
    assert sandbox.snapshot() == before
