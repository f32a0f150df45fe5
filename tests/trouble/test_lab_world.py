"""The lab's outside is as cli.md says: addresses, DHCP, NAT, and what the switch does; shown with packets."""

from __future__ import annotations

from ipaddress import IPv4Address

import pytest

from tests.sandbox import Sandbox
from tests.trouble.reaching import answers, offers

LAN = "networks: {lan: {type: bridge, uplink: eth0}}\nguests: {web: {nics: [lan]}, db: {nics: [lan]}}\n"
THREE = """
lab: {%s}
networks:
  a: {type: bridge, uplink: wan}
  b: {type: macvtap, uplink: eth7}
  c: {type: macvtap, uplink: x}
guests:
  web: {nics: [a]}
  db: {nics: [b]}
  old: {nics: [c]}
"""


def addresses(sandbox: Sandbox, netns: str, link: str) -> list[str]:
    """A link's addresses with prefix, without the link-local ones."""
    out = sandbox.sh(f"ip -n {netns} -br address show dev {link}")
    return [word for word in out.split()[2:] if not word.startswith("fe80:")]


def both(four: str, six: str) -> list[str]:
    """One address of each family, with the prefixes that a lab has."""
    return [f"{four}/24", f"{six}/64"]


def test_each_uplink_has_a_lan_of_its_own(sandbox: Sandbox) -> None:
    sandbox.write(THREE % "")
    sandbox.guestwire("up", "--lab")
    lans = [("192.0.2.", "2001:db8:1::"), ("198.51.100.", "2001:db8:2::"), ("198.18.0.", "2001:db8:3::")]
    for i, ((four, six), guest) in enumerate(zip(lans, ("web", "db", "old"), strict=True)):
        host = ("t-a", "eth7", "x")[i]
        assert addresses(sandbox, "t-host", host) == both(f"{four}10", f"{six}10")
        assert addresses(sandbox, "t-gateway", f"eth{i}") == both(f"{four}1", f"{six}1")
        assert addresses(sandbox, "t-lan", f"eth{i}") == both(f"{four}100", f"{six}100")
        assert addresses(sandbox, f"t-{guest}", "eth0") == both(f"{four}200", f"{six}200")
        assert sandbox.sh(f"ip -n t-{guest} route show default") == f"default via {four}1 dev eth0 proto 103 \n"
        assert f"default via {six}1 dev eth0" in sandbox.sh(f"ip -n t-{guest} -6 route show default")
    assert addresses(sandbox, "t-internet", "eth0") == both("203.0.113.1", "2001:db8:ffff::1")
    guests = {"t-web": lans[0], "t-db": lans[1], "t-old": lans[2]}
    # Every guest reaches gateway and neighbour on its LAN, and the other LANs and the internet by the gateway.
    ways = [(netns, f"{head}{n}") for netns, heads in guests.items() for head in heads for n in (1, 100)]
    ways += [("t-web", f"{head}200") for heads in lans[1:] for head in heads]
    ways += [(netns, to) for netns in guests for to in ("203.0.113.1", "2001:db8:ffff::1")]
    ways += [("t-web", "192.0.2.10"), ("t-web", "2001:db8:1::10"), ("t-host", "203.0.113.1"), ("t-lan", "203.0.113.1")]
    assert answers(sandbox, ways, ways) == set(ways)


def test_the_internet_is_behind_nat_for_ipv4_and_routed_for_ipv6(sandbox: Sandbox) -> None:
    sandbox.write(LAN)
    sandbox.guestwire("up", "--lab")
    back = [("t-internet", "192.0.2.200"), ("t-internet", "2001:db8:1::200"), ("t-internet", "203.0.113.2")]
    forth = [("t-web", "203.0.113.1"), ("t-web", "2001:db8:ffff::1")]
    assert answers(sandbox, back + forth, back[1:] + forth) == {*back[1:], *forth}


def test_one_lan_for_all_uplinks(sandbox: Sandbox) -> None:
    sandbox.write(THREE % "same-lan: true")
    sandbox.guestwire("up", "--lab")
    for host, number in (("t-a", 10), ("eth7", 11), ("x", 12)):
        assert addresses(sandbox, "t-host", host) == both(f"192.0.2.{number}", f"2001:db8:1::{number}")
    for guest, number in (("web", 200), ("db", 201), ("old", 202)):
        assert addresses(sandbox, f"t-{guest}", "eth0") == both(f"192.0.2.{number}", f"2001:db8:1::{number}")
    ways = [("t-web", "192.0.2.201"), ("t-db", "192.0.2.202"), ("t-old", "2001:db8:1::200"), ("t-old", "192.0.2.100")]
    assert answers(sandbox, ways, ways) == set(ways)


def test_dhcp(sandbox: Sandbox) -> None:
    """On each LAN, in .150 to .199, with the gateway as router; and a guest's own address isn't one of those."""
    sandbox.write(THREE % "")
    sandbox.guestwire("up", "--lab")
    for guest, head in (("web", "192.0.2."), ("db", "198.51.100."), ("old", "198.18.0.")):
        offered = offers(sandbox, f"t-{guest}", "eth0")
        assert offered is not None
        address, mask, router = offered
        assert IPv4Address(f"{head}150") <= IPv4Address(address) <= IPv4Address(f"{head}199")
        assert (mask, router) == ("255.255.255.0", f"{head}1")


def test_no_dhcp(sandbox: Sandbox) -> None:
    sandbox.write("lab: {dhcp: false}\n" + LAN)
    sandbox.guestwire("up", "--lab")
    assert offers(sandbox, "t-web", "eth0", seconds=3) is None


def test_one_mac(sandbox: Sandbox) -> None:
    """As at a provider that admits one MAC a port: the host gets through, its bridged guests don't, passthru does."""
    sandbox.write(
        "lab: {one-mac: true}\nnetworks:\n  lan: {type: bridge, uplink: eth0}\n"
        "  whole: {type: macvtap, uplink: eth1, mode: passthru}\n"
        "guests: {web: {nics: [lan]}, db: {nics: [lan]}, old: {nics: [whole]}}\n"
    )
    sandbox.guestwire("up", "--lab")
    inside = [("t-web", "192.0.2.201"), ("t-web", "192.0.2.10"), ("t-host", "192.0.2.100"), ("t-host", "203.0.113.1")]
    inside += [("t-host", "2001:db8:1::100"), ("t-old", "198.51.100.100"), ("t-old", "2001:db8:2::100")]
    outside = [("t-web", "192.0.2.100"), ("t-web", "2001:db8:1::100"), ("t-web", "203.0.113.1")]
    assert answers(sandbox, inside + outside, inside) == set(inside)


@pytest.mark.parametrize("stp", ["true", "false"])
def test_stp_of_the_switch(stp: str, sandbox: Sandbox) -> None:
    """With STP a port forwards nothing in its first 30 s, which is what those who wait for it must see."""
    sandbox.write(f"lab: {{stp: {stp}}}\n" + LAN)
    sandbox.guestwire("up", "--lab")
    state = "listening" if stp == "true" else "forwarding"
    sandbox.until(f"[ $(bridge -n t.switch link show | grep -c 'state {state}') = 3 ]")  # as the kernel sees carriers
    ways = [("t-lan", "192.0.2.1")]
    wanted = set() if stp == "true" else set(ways)
    assert answers(sandbox, ways, wanted) == wanted


def test_addresses_that_the_file_names_are_left_free(sandbox: Sandbox) -> None:
    sandbox.write(
        "networks:\n  lan: {type: bridge, uplink: eth0}\n"
        "  other: {type: macvtap, uplink: eth1, subnet: 192.0.2.204/30}\n"
        "guests:\n  many: {count: 4, nics: [lan]}\n"
        "  web: {nics: [{network: lan, address: [192.0.2.201, '2001:db8:1::201']}]}\n"
        "  old: {nics: [other]}\n"
    )
    sandbox.guestwire("up", "--lab")
    fours = [addresses(sandbox, f"t-many-{i}", "eth0")[0] for i in range(1, 5)]
    assert fours == ["192.0.2.200/24", "192.0.2.202/24", "192.0.2.203/24", "192.0.2.208/24"]
    sixes = [addresses(sandbox, f"t-many-{i}", "eth0")[1] for i in range(1, 5)]
    assert sixes == [f"2001:db8:1::{n}/64" for n in (200, 202, 203, 204)]


def test_the_last_address_of_a_lan(sandbox: Sandbox) -> None:
    """.200 to .254, then .149 down to .11, and never the neighbour's .100."""
    sandbox.write("networks: {lan: {type: macvtap, uplink: eth0}}\nguests: {web: {count: 193, nics: [lan]}}\n")
    changes = sandbox.json("plan", "--lab")["changes"]
    four = [c["name"].split("/")[0] for c in changes if c["kind"] == "address" and c["netns"].startswith("t-web-")]
    numbers = [int(address.removeprefix("192.0.2.")) for address in four if "." in address]
    assert numbers == [*range(200, 255), *range(149, 100, -1), *range(99, 10, -1)]


def test_a_rebuilt_lab_has_the_same_addresses_and_macs(sandbox: Sandbox) -> None:
    sandbox.write(LAN)
    sandbox.guestwire("up", "--lab")
    first = sandbox.json("status")["guests"]
    sandbox.guestwire("down")
    sandbox.guestwire("up", "--lab")
    assert sandbox.json("status")["guests"] == first
    sandbox.write(LAN.replace("{web:", "{abc: {nics: [lan]}, web:"))
    sandbox.guestwire("up")
    assert sandbox.json("status")["guests"][1:] == first


def test_isolated_ports(sandbox: Sandbox) -> None:
    sandbox.write(
        "networks: {net: {type: bridge, subnet: [10.77.0.0/24, 'fd00:77::/64'], port: {isolated: true}}}\n"
        "guests: {web: {nics: [net]}, db: {nics: [net]}, all: {nics: [{network: net, port: {isolated: false}}]}}\n"
    )
    sandbox.guestwire("up", "--lab")
    apart = [("t-web", "10.77.0.3"), ("t-db", "10.77.0.2"), ("t-web", "fd00:77::3")]
    together = [("t-web", "10.77.0.4"), ("t-all", "10.77.0.3"), ("t-db", "fd00:77::4"), ("t-db", "10.77.0.1")]
    assert answers(sandbox, apart + together, together) == set(together)
