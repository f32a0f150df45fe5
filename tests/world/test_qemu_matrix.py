"""Machines reach whom namespaces reach: on bridges, by macvtap in every mode, routed; with and without relay.

Two of each have a NIC on every network, so all is measured with one boot.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.sandbox import Sandbox
from tests.world.consoles import Console, logged, machine

UPLINKED = {
    "plain": "{type: bridge, uplink: eth0}",
    "vepa": "{type: macvtap, uplink: eth1, mode: vepa}",
    "direct": "{type: macvtap, uplink: eth2, mode: bridge}",
    "private": "{type: macvtap, uplink: eth3, mode: private}",
    "source": "{type: macvtap, uplink: eth4, mode: source, macs: [%s]}",
    "whole": "{type: macvtap, uplink: eth5, mode: passthru}",
}
"""In the order of their LANs."""
LANS = dict(zip(UPLINKED, ("192.0.2", "198.51.100", "198.18.0", "198.18.1", "198.18.2", "198.18.3"), strict=True))
SHARED = [name for name in UPLINKED if name != "whole"]
WHO = {"n1": 201, "n2": 202, "a": 211, "b": 212}
MACS = {name: f"02:00:00:00:00:{number:02x}" for name, number in WHO.items()}
HOST, NEIGHBOUR = 10, 100


def _nics(guest: str) -> list[str]:
    nics = ["{network: nat}"]
    for name in SHARED:
        mac = f', mac: "{MACS[guest]}"' if name == "source" else ""
        nics.append(f"{{network: {name}, address: {LANS[name]}.{WHO[guest]}{mac}}}")
    nics.append(f"{{network: routed, address: 10.88.0.{WHO[guest]}}}")
    return nics


def _file(relay: bool) -> str:
    lines = ["name: lab", f"lab: {{relay: {str(relay).lower()}}}", "networks:"]
    lines += ["  nat: {type: bridge, subnet: 10.77.0.0/24, nat: true, dhcp: true}"]
    heard = ", ".join(f'"{mac}"' for mac in MACS.values())
    lines += [f"  {name}: {keys % heard if '%' in keys else keys}" for name, keys in UPLINKED.items()]
    lines += ["  routed: {type: routed, subnet: 10.88.0.0/24}", "guests:"]
    for guest in ("n1", "n2"):
        lines.append(f"  {guest}: {{nics: [{', '.join(_nics(guest))}]}}")
    for guest in ("a", "b"):
        nics, settings = _nics(guest), ["nic=eth0,dhcp"]
        settings += [f"nic=eth{n},{LANS[name]}.{WHO[guest]}/24" for n, name in enumerate(SHARED, 1)]
        settings.append(f"nic=eth{len(SHARED) + 1},10.88.0.{WHO[guest]}/32")
        if guest == "a":
            nics.append(f"{{network: whole, address: {LANS['whole']}.{WHO[guest]}}}")
            settings.append(f"nic=eth{len(SHARED) + 2},{LANS['whole']}.{WHO[guest]}/24")
        listed = ", ".join(nics)
        lines.append(f"  {guest}: {machine(f'[{listed}]', *settings)}")
    return "\n".join(lines) + "\n"


def _answered(run: Callable[[str], str], targets: dict[str, str]) -> dict[str, bool]:
    """Who of the targets, by their addresses, answers; all are asked at once.

    More than once: where the switch reflects what a bridge floods, the bridge mistakes for a moment where a guest is.
    """
    script = "".join(f"(ping -c 4 -w 4 {a} >/dev/null 2>&1 && echo yes:{a}:) & " for a in targets.values())
    said = set(re.findall(r"yes:([0-9.]+):", run(f"sh -c '{script} wait'")))
    return {name: address in said for name, address in targets.items()}


def _targets(likes: tuple[str, ...], leased: dict[str, str]) -> dict[str, str]:
    """Whom each asks: the others, and on each LAN the host and the neighbour."""
    found = {f"{name} {like}": f"{LANS[name]}.{WHO[like]}" for name in SHARED for like in likes}
    found |= {f"{name} host": f"{LANS[name]}.{HOST}" for name in SHARED}
    found |= {f"{name} neighbour": f"{LANS[name]}.{NEIGHBOUR}" for name in SHARED}
    found |= {f"nat {like}": leased[like] for like in likes}
    found |= {f"routed {like}": f"10.88.0.{WHO[like]}" for like in likes}
    return found | {"nat gateway": "10.77.0.1", "internet": "203.0.113.1"}


def _measured(sandbox: Sandbox, console: Console) -> tuple[dict[str, bool], dict[str, bool]]:
    """Whom namespace n1 reaches, and whom machine a."""
    document = sandbox.json("status")
    leased = {g["name"]: g["nics"][0]["addresses"][0].split("/")[0] for g in document["guests"]}
    targets = _targets(("n2", "b"), leased)

    def within(script: str) -> str:
        return sandbox.run("ip", "netns", "exec", "lab-n1", "sh", "-c", script).stdout

    with ThreadPoolExecutor() as pool:
        namespace = pool.submit(_answered, within, targets)
        return namespace.result(), _answered(console.run, targets)


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_machines_reach_whom_namespaces_reach(sandbox: Sandbox) -> None:
    before = sandbox.snapshot()
    sandbox.write(_file(relay=False))
    sandbox.guestwire("up", "--lab")
    for guest in ("a", "b"):
        logged(sandbox, guest, "guest: up\n")
    with Console(sandbox, "a") as a, Console(sandbox, "b") as b:
        for console in (a, b):
            last = f"eth{len(SHARED) + 1}"
            console.run(f"ip route add 169.254.1.1 dev {last}; ip route add 10.88.0.0/24 via 169.254.1.1 dev {last}")
        for relay in (False, True):
            sandbox.write(_file(relay))
            sandbox.guestwire("up", "--no-guard")
            namespace, found = _measured(sandbox, a)
            unsure = {f"plain {like}" for like in ("n2", "b")} if relay else set()  # as said in _answered
            like = {name: namespace[f"{name} n2"] for name in SHARED if not (relay and name == "source")}
            known = {"plain": True, "vepa": relay, "direct": True, "private": False, "source": False}
            like = {name: reached for name, reached in like.items() if not (relay and name == "plain")}
            assert like == {name: known[name] for name in like}
            for who in ("n1", "a"):
                told = namespace if who == "n1" else found
                same = {
                    name: told[name.replace("n2", "b")] for name in namespace if "n2" in name and name not in unsure
                }
                assert same == {name: namespace[name] for name in same}, f"{who} → b, relay: {relay}"
            differ = {name for name in namespace if found[name] != namespace[name]} - unsure
            assert not differ, f"relay: {relay}"
            whole = {"host": f"{LANS['whole']}.{HOST}", "neighbour": f"{LANS['whole']}.{NEIGHBOUR}"}
            assert _answered(a.run, whole) == {"host": False, "neighbour": True}, (
                "in passthru the parent is the guest's"
            )
    sandbox.guestwire("down")
    assert sandbox.snapshot() == before
