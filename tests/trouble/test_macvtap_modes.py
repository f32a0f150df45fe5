"""Who hears whom through macvlan, measured in labs, for each mode with and without reflective relay on the switch."""

from __future__ import annotations

import pytest

from guestwire.kinds.mark import derived_mac
from tests.sandbox import Sandbox
from tests.trouble.reaching import answers

MODES = ("private", "vepa", "bridge", "source", "passthru")
HEADS = (
    ("192.0.2.", "2001:db8:1::"),
    ("198.51.100.", "2001:db8:2::"),
    *((f"198.18.{i}.", f"2001:db8:{i + 3}::") for i in range(3)),
)
OWN = 77  # the address of the host's own macvlan on each LAN

# Whom a guest hears on its LAN: its sibling (g), the host at the parent's address (lower) and at a macvlan of its own,
# same mode (hm), a neighbour (ext).
HEARD = {
    ("private", False): {"ext"},
    ("vepa", False): {"ext"},
    ("vepa", True): {"g", "lower", "hm", "ext"},
    ("bridge", False): {"g", "hm", "ext"},
    ("bridge", True): {"g", "lower", "hm", "ext"},
    ("source", False): {"ext"},
    ("passthru", False): {"ext"},
    # The parent takes a broadcast that comes back from one of its own private or source children for that child alone
    # (macvlan_handle_frame), so the host never hears its ARP; a source child hears whoever is listed, its sibling too.
    ("private", True): {"ext"},
    ("source", True): {"g", "ext"},
    ("passthru", True): {"ext"},
}


def file(relay: bool) -> str:
    """Every mode on an uplink of its own; the MACs that mode source hears are all there are on its LAN."""
    source = MODES.index("source")
    links = [("t-lan", f"eth{source}"), ("t-gateway", f"eth{source}"), ("t-host", "source")]
    heard = [derived_mac("t", *link) for link in links] + [derived_mac("t", f"source{i}", "0") for i in (1, 2)]
    lines = [f"lab: {{relay: {str(relay).lower()}, dhcp: false}}", "networks:"]
    for mode in MODES:
        macs = f", macs: [{', '.join(map(repr, heard))}]" if mode == "source" else ""
        lines.append(f"  {mode}: {{type: macvtap, uplink: {mode}, mode: {mode}{macs}}}")
    lines.append("guests:")
    for mode in MODES:
        lines += [f"  {mode}{i}: {{nics: [{mode}]}}" for i in ((1,) if mode == "passthru" else (1, 2))]
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize("relay", [False, True])
def test_who_hears_whom(relay: bool, sandbox: Sandbox) -> None:
    sandbox.write(file(relay))
    sandbox.guestwire("up", "--lab")
    for mode, (four, six) in zip(MODES[:3], HEADS[:3], strict=True):
        # A namespace of its own, or the host would answer for this address by the parent.
        sandbox.sh(
            f"ip netns add own-{mode}\n"
            f"ip -n t-host link add own link {mode} netns own-{mode} type macvlan mode {mode}\n"
            f"ip -n own-{mode} address add {four}{OWN}/24 dev own; ip -n own-{mode} link set own up\n"
            f"ip -n own-{mode} address add {six}{OWN}/64 dev own nodad"
        )
    numbers = {"g": 201, "lower": 10, "hm": OWN, "ext": 100}
    ways: dict[tuple[str, str], tuple[str, str]] = {}
    for mode, heads in zip(MODES, HEADS, strict=True):
        for who, number in numbers.items():
            if (who, mode) not in {("g", "passthru"), ("hm", "passthru"), ("hm", "source")}:
                ways |= {(f"t-{mode}1", f"{head}{number}"): (mode, who) for head in heads}
    found = answers(sandbox, ways, (way for way, (mode, who) in ways.items() if who in HEARD[mode, relay]))
    heard = {way: way in found for way in ways}
    assert heard == {way: who in HEARD[mode, relay] for way, (mode, who) in ways.items()}


def test_passthru_takes_the_hosts_own_traffic_and_gives_it_back(sandbox: Sandbox) -> None:
    sandbox.write("networks: {lan: {type: macvtap, uplink: eth0, mode: passthru}}\nguests: {}\n")
    sandbox.guestwire("up", "--lab")
    assert sandbox.answers("192.0.2.100", "t-host")
    sandbox.write("networks: {lan: {type: macvtap, uplink: eth0, mode: passthru}}\nguests: {web: {nics: [lan]}}\n")
    sandbox.guestwire("up", "--no-guard")
    ways = [("t-host", "192.0.2.100"), ("t-web", "192.0.2.100")]
    assert answers(sandbox, ways, ways[1:]) == {ways[1]}
    sandbox.write("networks: {lan: {type: macvtap, uplink: eth0, mode: passthru}}\nguests: {}\n")
    sandbox.guestwire("up")
    assert sandbox.answers("192.0.2.100", "t-host")


@pytest.mark.parametrize("subnet", ["", ", subnet: [10.77.0.0/24, 'fd00:77::/64']"])
def test_host_access(subnet: str, sandbox: Sandbox) -> None:
    """Host and guests both ways, with addresses of the LAN or of their own; and the host as before with the rest."""
    sandbox.write(
        f"networks:\n  net: {{type: macvtap, uplink: eth0, host-access: true{subnet}}}\n"
        "guests: {web: {nics: [net]}, db: {nics: [net]}}\nexpect: [lan reaches host, gateway reaches host]\n"
    )
    sandbox.guestwire("up", "--lab")
    four, six = ("10.77.0.", "fd00:77::") if subnet else ("192.0.2.", "2001:db8:1::")
    host, web, db = ("1", "2", "3") if subnet else ("10", "200", "201")
    ways = [("t-web", f"{head}{db}") for head in (four, six)]
    ways += [("t-web", f"{head}{host}") for head in (four, six)]
    ways += [("t-host", f"{head}{each}") for head in (four, six) for each in (web, db)]
    ways += [
        ("t-host", "192.0.2.100"),
        ("t-host", "2001:db8:1::100"),
        ("t-lan", "192.0.2.10"),
        ("t-lan", "2001:db8:1::10"),
    ]
    ways += [("t-host", "203.0.113.1"), ("t-host", "2001:db8:ffff::1")]
    if not subnet:
        ways += [("t-web", "192.0.2.100"), ("t-web", "203.0.113.1"), ("t-lan", "2001:db8:1::200")]
    assert answers(sandbox, ways, ways) == set(ways)


def test_vepa_beside_bridge(sandbox: Sandbox) -> None:
    """They reach one another only by a switch that reflects."""
    text = (
        "lab: {relay: %s}\nnetworks:\n  v: {type: macvtap, uplink: eth0, mode: vepa}\n"
        "  b: {type: macvtap, uplink: eth0, mode: bridge}\nguests: {web: {nics: [v]}, db: {nics: [b]}}\n"
    )
    ways = {("t-web", "192.0.2.201"), ("t-db", "192.0.2.200"), ("t-web", "2001:db8:1::201")}
    sandbox.write(text % "false")
    sandbox.guestwire("up", "--lab")
    assert answers(sandbox, ways) == set()
    sandbox.write(text % "true")
    sandbox.guestwire("up")
    assert answers(sandbox, ways, ways) == ways
