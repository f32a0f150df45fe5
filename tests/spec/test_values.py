"""What a single value may be: each bad one is an error with line, column and hint; each good one means what it says."""

from __future__ import annotations

from ipaddress import IPv4Interface, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_interface

import pytest

from guestwire.networks.bridge import Bridge
from guestwire.networks.macvtap import Macvtap
from guestwire.spec import Nic, Port
from tests.spec.reading import good, problems, wrong


def network(keys: str) -> str:
    return f"networks:\n  lan: {{{keys}}}\n"


@pytest.mark.parametrize(
    ("keys", "message", "hint"),
    [
        ("type: bridge, «subnt: x", 'network "lan": unknown key "subnt".', 'Did you mean "subnet"?'),
        ("type: macvtap, «host_access: true, uplink: e", 'unknown key "host_access"', '"host-access"?'),
        (
            "type: bridge, «mode: vepa",
            'key "mode" means nothing for type bridge; ipvlan, macvtap have',
            "Leave it out",
        ),
        ("type: «brdige", 'type: "brdige" is not a type', '"bridge"?'),
        ("type: «nonsense", "is not a type", "bridge, ipvlan, libvirt, macvtap, macvlan"),
        ("«type: ", "type: has no value", "bridge"),
        ("«type: [bridge]", "type: expected a word", "bridge"),
        ("uplink: eth0", 'missing key "type"', "bridge, ipvlan, libvirt, macvtap, macvlan"),
        ("type: macvtap", 'missing key "uplink"', "Add uplink"),
        ("type: bridge, stp: «yes", 'stp: "yes" is neither true nor false', "Write true."),
        ("type: bridge, stp: «off", '"off" is neither true nor false', "Write false."),
        ("type: bridge, stp: «maybe", "neither true nor false", "true or false"),
        ("type: bridge, «stp: ", "stp: has no value", "leave the key out"),
        ("type: bridge, «stp: [true]", "expected true or false, not a list", ""),
        ("type: bridge, mtu: «67", "mtu: 67 is out of range", "68 to 65535"),
        ("type: bridge, mtu: «65536", "out of range", "68 to 65535"),
        ("type: bridge, mtu: «1500.0", '"1500.0" is not a whole number', "digits"),
        ("type: bridge, mtu: «1_500", "not a whole number", "digits"),
        ("type: bridge, mtu: «١٥٠٠", "not a whole number", "digits"),
        ("type: bridge, mtu: «0x5dc", "not a whole number", "digits"),
        (f"type: bridge, mtu: «{'9' * 5000}", "is out of range", "from 68 to 65535"),
        ("type: bridge, «mtu: {}", "expected a whole number from 68 to 65535, not a mapping", ""),
        ("type: bridge, subnet: «10.77.0.1/24", "host bits", "10.77.0.0/24"),
        ("type: bridge, subnet: «fd00::1/64", "host bits", "fd00::/64"),
        ("type: bridge, subnet: «10.77.0.0", "no prefix length", "10.77.0.0/24"),
        ("type: bridge, subnet: «10.77.0.0/255.255.255.0", "no prefix length", "10.77.0.0/24"),
        ("type: bridge, subnet: «10.77.0.0/33", "is not a subnet", "10.77.0.0/24"),
        ("type: bridge, subnet: «10.77.0/24", "is not a subnet", "10.77.0.0/24"),
        ("type: bridge, subnet: «224.0.0.0/24", "is multicast", "private"),
        ("type: bridge, subnet: «127.0.0.0/8", "is loopback", "private"),
        ("type: bridge, subnet: «fe80::/64", "link-local", "fd00:77::/64"),
        ("type: bridge, «subnet: [10.1.0.0/24, 10.2.0.0/24]", "both IPv4", "one of each family"),
        ("type: bridge, «subnet: [fd01::/64, fd02::/64]", "both IPv6", "one of each family"),
        ("type: bridge, uplink: «averylongname123", "longer than 15", "Shorten"),
        ("type: bridge, uplink: «a/b", 'has "/" in it', "Leave that out"),
        ('type: bridge, uplink: «"a b"', 'has " " in it', "Leave that out"),
        ("type: bridge, uplink: «..", "can't be the name of a link", "another"),
        ("type: bridge, uplink: «.", "can't be the name of a link", "another"),
        ("type: bridge, uplink: «eth%d", 'has "%" in it', "Leave that out"),
        ("type: bridge, uplink: «lo", "lo is the host's loopback", "eth0"),
        ("type: macvtap, uplink: e, mode: «brigde", 'mode: "brigde" is not known', 'mean "bridge"'),
        ("type: macvtap, uplink: e, «mode: [vepa]", "mode: expected a word", "vepa, bridge"),
        ("type: macvtap, uplink: e, «mode: ", "mode: has no value", "vepa, bridge"),
        ("type: bridge, port: «isolated", "port: expected keys and values", "KEY: VALUE"),
        ("type: bridge, port: {«isolatd: true}", 'unknown key "isolatd"', '"isolated"?'),
        ("type: bridge, port: {group-fwd-mask: «0x6}", "port group-fwd-mask: 0x6 has bit 1", "Write 0x4."),
        ("type: bridge, port: {group-fwd-mask: «65536}", "out of range", "65535"),
        ("type: bridge, gateway: «1.2.3.4/8", "is not an address", "Leave the prefix out"),
    ],
)
def test_bad_value_of_a_network(keys: str, message: str, hint: str) -> None:
    text = network(keys)
    wrong(text if "«" in text else text.replace("lan", "«lan"), message, hint)


@pytest.mark.parametrize(
    ("keys", "message", "hint"),
    [
        ("mac: «53:54:00:12:34:56", "multicast", "52:54:00:12:34:56"),
        ("mac: «ff:ff:ff:ff:ff:ff", "multicast", "fe:ff:ff:ff:ff:ff"),
        ("mac: «00:00:00:00:00:00", "all zeros", "Leave the key out"),
        ("mac: «52:54:00:12:34", "is not a MAC", "six pairs"),
        ("mac: «52:54:00-12:34:56", "is not a MAC", "six pairs"),
        ("mac: «52:54:00:12:34:5g", "is not a MAC", "six pairs"),
        ("mac: «525400123456", "is not a MAC", "six pairs"),
        ("«mac: {}", "expected a MAC, not a mapping", ""),
        ("mtu: «9", "out of range", "68"),
        ("address: «10.77.0.300", "is not an address", "10.77.0.20"),
        ("address: «10.77.0.2/33", '"33" is no prefix length', "0 to 32"),
        ("address: «10.77.0.2/255.255.255.0", "no prefix length", "0 to 32"),
        ("address: «DHCP", "is not an address", "dhcp"),
        ("«address: ", "has no value", "leave the key out"),
        ("«address: [10.77.0.2, 10.77.0.2]", "given twice", "Leave one out"),
        ("address: «224.0.0.1", "is multicast", "another"),
        ("address: «127.0.0.1", "is loopback", "another"),
        ("address: «0.0.0.0", "is unspecified", "another"),
        ("address: «255.255.255.255", "is reserved", "another"),
        ("address: «fe80::1%eth0", "names a link", "%"),
        ("name: «averylongname123", "longer than 15", "Shorten"),
        ("name: «lo", "loopback", "another"),
        ("device: «veth", '"veth" is not known', ""),
        ("«gateway: [10.77.0.2, 10.77.0.3]", "both IPv4", "one of each"),
        ("«netwrk: x", 'unknown key "netwrk"', '"network"?'),
        ("«zzz: x", 'unknown key "zzz"', "network, address, mac"),
    ],
)
def test_bad_value_of_a_nic(keys: str, message: str, hint: str) -> None:
    text = "networks: {lan: {type: bridge, subnet: 10.77.0.0/24}}\n"
    text += f"guests:\n  web: {{nics: [{{network: lan, {keys}}}]}}\n"
    wrong(text, message, hint)
    assert problems(text.replace("«", ""))[0].message.startswith('guest "web", NIC 1: ')


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("«nam: x\n", 'unknown key "nam"', '"name"?'),
        ("«x-y-z: x\n", "unknown key", "name, lab, networks, guests, expect"),
        ("name: «a b\n", '"a b" is no name for a project', "letter or digit"),
        ("«name:\nguests: {}\n", "name: has no value", "leave the key out"),
        ("«name: [x]\n", "name: expected a name", "one word"),
        ("lab: {relay: «1}\n", 'lab: relay: "1" is neither', "Write true"),
        ("lab: {«rely: true}\n", 'lab: unknown key "rely"', '"relay"?'),
        ("«lab: [relay]\n", "lab: expected keys and values", ""),
        ("«networks: [lan]\n", "networks: expected a name for each network", "{NAME: {…}}"),
        ("networks: {lan: «bridge}\n", 'network "lan": expected keys and values', "{type: bridge}"),
        ("networks: {«a_b: {type: bridge}}\n", '"a_b" is no name for a network', "letter or digit"),
        ("networks: {«'': {type: bridge}}\n", '"" is no name', "letter or digit"),
        ("guests: «web\n", "guests: expected a name for each guest", ""),
        ("guests: {«web: [a]}\n", 'guest "web": expected keys and values', ""),
        ("guests: {web: {kind: «vm}}\n", 'kind: "vm" is not a kind of guest', "namespace"),
        ("guests: {«-web: {}}\n", "is no name for a guest", "letter or digit"),
        ('guests: {«"we\\tb": {}}\n', r'"we\tb" is no name', "letter or digit"),
        (f"guests: {{«{'a' * 64}: {{}}}}\n", "64 characters; 63 is the most", "Shorten"),
        (f"guests: {{«{'a' * 61}: {{count: 10}}}}\n", "with -10 the name has 64", "Shorten"),
        ("guests: {web: {nics: «lan}}\n", "nics: expected a list", "Write [lan]."),
        ("guests: {web: {nics: [«[a]]}}\n", "NIC 1: expected a network's name or a mapping", "{network: NAME}"),
        ("guests: {web: {nics: [«{}]}}\n", 'missing key "network"', "Add network"),
        ("guests: {web: {count: «0}}\n", "count: 0 is out of range", "1 to 10000"),
        ("guests: {web: {count: «10001}}\n", "out of range", "1 to 10000"),
        ("guests: {web: {count: «-1}}\n", "out of range", "1 to 10000"),
        ("guests: {web: {dns: «ns.example}}\n", "is not an address", "10.77.0.20"),
        ("guests: {web: {nics: [], «nic: []}}\n", 'unknown key "nic"', '"nics"?'),
    ],
)
def test_bad_value_elsewhere(text: str, message: str, hint: str) -> None:
    wrong(text, message, hint)


def test_unquoted_values_are_what_they_look_like() -> None:
    file = good(
        "name: on\nnetworks: {no: {type: bridge, uplink: 1e3, stp: TRUE}, 10: {type: macvlan, uplink: 0x1f}}\n"
        "guests: {yes: {nics: [no, {network: 10, mac: 52:54:00:12:34:56}]}, null: {}}\n"
    )
    assert file.name == "on"
    assert list(file.networks) == ["no", "10"]
    assert isinstance(file.networks["no"], Bridge)
    assert file.networks["no"].stp is True
    assert file.networks["no"].uplink == "1e3"
    assert isinstance(file.networks["10"], Macvtap)
    assert file.networks["10"].type == "macvlan"
    assert file.guests["yes"].nics[1].mac == "52:54:00:12:34:56"
    assert "null" in file.guests


def test_addresses() -> None:
    text = "networks: {lan: {type: bridge, uplink: eth0}}\n"
    file = good(f"{text}guests: {{w: {{nics: [{{network: lan, address: [10.77.0.2/24, fd00::9, dhcp]}}]}}}}")
    nic = file.guests["w"].nics[0]
    assert nic.address == (IPv4Interface("10.77.0.2/24"), IPv6Address("fd00::9"), "dhcp")
    assert nic.fixed == nic.address[:2]
    assert nic.dhcp


def test_subnets_and_the_bridges_addresses() -> None:
    lan = good(network("type: bridge, subnet: [10.77.0.0/24, fd00::/64], gateway: 10.77.0.254")).networks["lan"]
    assert lan.subnet == (IPv4Network("10.77.0.0/24"), IPv6Network("fd00::/64"))
    assert lan.hosts() == (ip_interface("10.77.0.254/24"), ip_interface("fd00::1/64"))


def test_hexadecimal_mask() -> None:
    lan = good(network("type: bridge, port: {group-fwd-mask: 0x4000, flood: False}")).networks["lan"]
    assert isinstance(lan, Bridge)
    assert lan.port == Port(group_fwd_mask=16384, flood=False)


def test_mac_is_written_one_way() -> None:
    assert Nic(network="a", mac="52-54-0-AB-CD-EF").mac == "52:54:00:ab:cd:ef"


def test_models_from_python() -> None:
    lan = Macvtap(uplink="eth0", host_access=True, subnet=(IPv4Network("10.0.0.0/24"),), mtu=None)
    assert lan.host_access
    assert lan.hosts() == (ip_interface("10.0.0.1/24"),)
    assert Nic(network="lan", address=(ip_address("10.0.0.2"),)).path == ()
    assert Nic(network="lan") == Nic.model_validate("lan")
    assert hash(Nic(network="lan"))


def test_a_misspelt_type_is_named_beside_the_missing_one() -> None:
    first, second = problems("networks: {lan: {typ: bridge}}\n")
    assert 'missing key "type"' in first.message
    assert ('unknown key "typ"' in second.message, second.hint) == (True, 'Did you mean "type"?')
