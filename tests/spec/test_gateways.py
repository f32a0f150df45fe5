"""What a file may say of nat, dhcp and forward, and what it is told where that is wrong."""

from __future__ import annotations

import pytest

from tests.spec.reading import good, wrong

FILE = """
networks:
  lan: {type: bridge, subnet: [10.77.0.0/24, "fd00::/64"], %s}
  other: {type: bridge, subnet: 10.78.0.0/24, nat: true, forward: [{host: 9999, to: far}]}
guests: {web: {nics: [lan]}, far: {nics: [other]}, many: {count: 3, nics: [lan]}}
"""


def test_all_of_it() -> None:
    ports = "forward: [{host: 80, to: web}, {host: 53, to: many-2, port: 5353, proto: udp}, {host: 53, to: web}]"
    good(FILE % f"nat: true, dhcp: true, {ports}")
    good("networks: {lan: {type: bridge, subnet: 10.0.0.0/24, dhcp: true}}\nguests: {w: {nics: [lan]}}\n")


@pytest.mark.parametrize(
    ("keys", "message", "hint"),
    [
        ("nat: true, forward: [{host: 80, to: «wep}]", 'there is no guest "wep"', 'Did you mean "web"?'),
        ("nat: true, forward: [{host: 80, to: «many}]", "a count of 3", "many-1 … many-3"),
        ("nat: true, forward: [{host: 80, to: «many-4}]", 'no guest "many-4"', "many-"),
        ("nat: true, forward: [{host: 80, to: «far}]", "has no NIC on this network", "nics: [lan]"),
        ("nat: true, forward: [{host: 80, to: web}, {host: «80, to: web, port: 81}]", "leads to", "Use another"),
        ("nat: true, forward: [{host: «0, to: web}]", "0 is out of range", "from 1 to 65535"),
        ("nat: true, forward: [{host: 80, to: web, port: «65536}]", "65536 is out of range", "from 1 to 65535"),
        ("nat: true, forward: [{host: 80, to: web, proto: «sctp}]", '"sctp" is not known here', "tcp"),
        ("nat: true, forward: [{host: 80, to: web, «prot: udp}]", 'unknown key "prot"', '"proto"'),
        ("nat: true, forward: [«{to: web}]", 'missing key "host"', "Add host"),
        ("«forward: [{host: 80, to: web}]", "forward without nat", "nat: true"),
    ],
)
def test_wrong_forwards(keys: str, message: str, hint: str) -> None:
    wrong(FILE % keys, message, hint)


def test_host_port_of_two_networks() -> None:
    text = FILE.replace("host: 9999", "host: «80") % "nat: true, forward: [{host: 80, to: web}]"
    wrong(text, 'tcp port 80 of the host leads to "web" already', "Use another")


@pytest.mark.parametrize(
    ("keys", "message", "hint"),
    [
        ("uplink: eth0, nat: «true", "nat beside uplink eth0", "leave uplink out"),
        ("uplink: eth0, dhcp: «true", "dhcp beside uplink eth0", "leave uplink out"),
        ("nat: «true", "nat without subnet", "Give it a subnet"),
        ("dhcp: «true", "dhcp without subnet", "Give it a subnet"),
        ("subnet: «10.0.0.0/31, dhcp: true", "has no address to give", "Widen it"),
        ("subnet: «fd00::/48, dhcp: true", "too wide for DHCPv6", "fd00::/64"),
    ],
)
def test_nat_and_dhcp_where_they_cannot_be(keys: str, message: str, hint: str) -> None:
    wrong(f"networks: {{lan: {{type: bridge, {keys}}}}}\n", message, hint)


def test_macvtap_has_neither() -> None:
    text = "networks: {lan: {type: macvtap, uplink: e, «nat: true}}\n"
    wrong(text, 'key "nat" means nothing for type macvtap; bridge', "Leave it out")


def test_address_by_the_networks_own_dhcp() -> None:
    good(FILE.replace("web: {nics: [lan]}", "web: {nics: [{network: lan, address: dhcp}]}") % "dhcp: true")


@pytest.mark.parametrize(
    ("keys", "message", "hint"),
    [
        ("proxy: «true, subnet: 10.0.0.0/24", "proxy without uplink", "uplink: eth0"),
        ("proxy: true, uplink: e, nat: «true, subnet: 10.0.0.0/24", "nat beside proxy", "Leave one"),
        ("subnet: 10.0.0.0/24, «stp: true", 'key "stp" means nothing for type routed', "Leave it out"),
        ("subnet: 10.0.0.0/24, forward: [{host: 1, to: «b}]", 'no guest "b"', "a"),
    ],
)
def test_wrong_routed_networks(keys: str, message: str, hint: str) -> None:
    nat = "nat: true, " if "forward" in keys else ""
    wrong(f"networks: {{r: {{type: routed, {nat}{keys}}}}}\nguests: {{a: {{nics: [r]}}}}\n", message, hint)


def test_routed_without_a_subnet() -> None:
    wrong("networks:\n  «r: {type: routed}\n", "routed without subnet", "Give it a subnet")


@pytest.mark.parametrize(
    ("nic", "message"),
    [("«port: {isolated: true}", "has no bridge"), ("gateway: «10.0.0.1", "one neighbour, the host")],
)
def test_nics_of_routed_guests(nic: str, message: str) -> None:
    nets = "networks: {r: {type: routed, subnet: 10.0.0.0/24}}\n"
    wrong(f"{nets}guests: {{a: {{nics: [{{network: r, {nic}}}]}}}}\n", message, "Leave")
