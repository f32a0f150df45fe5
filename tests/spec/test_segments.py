"""VLANs and ipvlans in a file: what each bad one is, and where; what good ones mean."""

from __future__ import annotations

import pytest

from guestwire.networks.bridge import Bridge
from tests.spec.reading import good, wrong

FILE = "networks:\n  lan: {type: bridge, vlans: true}\n  one: {type: %s}\nguests:\n  web: {nics: [{network: one%s}]}\n"
UPLINK = "bridge, uplink: eth0, vlans: true"
SERVED = "bridge, vlans: true, subnet: 10.9.0.0/24, dhcp: true"
IPVLAN = "ipvlan, uplink: eth0"


@pytest.mark.parametrize(
    ("network", "nic", "message", "hint"),
    [
        ("bridge, vlans: true", ", vlan: «0", "vlan: 0 is out of range", "1 to 4094"),
        ("bridge, vlans: true", ", vlan: «4095", "vlan: 4095 is out of range", "1 to 4094"),
        ("bridge, vlans: true", ", vlan: «ten", "not a whole number", "digits"),
        ("bridge, vlans: true", ", «vlans: []", "has no VLAN in it", "leave the key out"),
        ("bridge, vlans: true", ", vlans: [«0, 10]", "0 is out of range", "1 to 4094"),
        ("bridge, vlans: true", ", vlans: «10-5000", "5000 is out of range", "1 to 4094"),
        ("bridge, vlans: true", ", vlans: [«30-20]", "30-20 runs backwards", "20-30"),
        ("bridge, vlans: true", ", «vlans: [10-20, 20-30]", "VLAN 20 is given twice", "Leave one out"),
        ("bridge, vlans: true", ", vlan: 10, «vlans: [5-15]", "VLAN 10 is both", "Leave it out of one"),
        (f"{SERVED}, host-vlan: 9", ", address: «dhcp", "answers DHCP in VLAN 9, and this NIC isn't in it", "vlan"),
        (SERVED, ", vlans: 7, address: «dhcp", "answers DHCP in VLAN 1, and this NIC isn't in it", "vlan"),
        ("bridge", ", vlan: «10", 'network "one" of type bridge tells no VLANs apart', "vlans: true"),
        ("bridge", ", «vlans: [10]", 'network "one" of type bridge tells no VLANs apart', "vlans: true"),
        ("macvtap, uplink: eth0", ", vlan: «10", "tells no VLANs apart", "Leave vlan out"),
        ("macvtap, uplink: eth0, «vlans: true", "", 'key "vlans" means nothing for type macvtap', "Leave it out"),
        ("bridge, vlan: «10", "", "vlan without vlans", "vlans: true"),
        ("bridge, vlans: true, uplink-vlans: «10", "", "uplink-vlans without uplink", "Name the host's NIC"),
        (f"{UPLINK}, uplink-vlans: «1-10", "", "VLAN 1 is untagged on the uplink", "another vlan"),
        (f"{UPLINK}, uplink-vlans: 10", ", vlan: «20", "VLAN 20 isn't among those", "uplink-vlans"),
        (f"{IPVLAN}, mode: «l4", "", 'mode: "l4" is not known', "l2"),
        ("ipvlan", "", 'missing key "uplink"', "Add uplink"),
        (f"{IPVLAN}, mode: l3", "", "mode l3 without subnet", "route to by way of this host"),
        (IPVLAN, ', mac: «"52:54:00:00:00:01"', "a guest has its parent's MAC", "macvtap"),
        (IPVLAN, ", address: «dhcp", "share one MAC", "Give the NIC an address"),
        (IPVLAN, ", device: «tap", "doesn't fit network", "Leave device out"),
        (IPVLAN, ", «port: {isolated: true}", "an ipvlan has no bridge", "Leave port out"),
    ],
)
def test_bad_values(network: str, nic: str, message: str, hint: str) -> None:
    text = FILE % (network, nic)
    if "«" not in text:
        text = text.replace("  one:", "  «one:")
    wrong(text, message, hint)


def test_one_uplink_has_one_driver_and_mode() -> None:
    other = "networks:\n  a: {type: ipvlan, uplink: eth0}\n  b: {type: %s, uplink: «eth0%s}\n"
    for kind, keys in (("macvtap", ""), ("ipvlan", ", flag: private"), ("ipvlan", ", mode: l3, subnet: 10.9.0.0/24")):
        wrong(other % (kind, keys), 'is network "a"\'s too, as ipvlan l2 bridge', "both alike")
    good((other % ("ipvlan", "")).replace("«", ""))


def test_runs_of_vlans_are_in_order() -> None:
    file = good(FILE % (UPLINK, ", vlan: 1, vlans: [30, 10-12, 20]"))
    nic = file.guests["web"].nics[0]
    assert (nic.vlan, nic.vlans) == (1, ((10, 12), (20, 20), (30, 30)))
    network = file.networks["one"]
    assert isinstance(network, Bridge)
    assert str(network.vlans_of_host()) == "1"
