"""What is wrong between the parts of a file: each is an error with line, column and hint."""

from __future__ import annotations

import pytest

from tests.spec.reading import good, problems, wrong

LAN = "networks: {lan: {type: bridge, subnet: [10.77.0.0/24, fd00::/64]}}\n"
MAC = "52:54:00:12:34:56"
BRIDGED = "a NIC that is a bridge's port"


@pytest.mark.parametrize("name", ["host", "lan", "gateway", "internet", "Host", "LAN"])
def test_reserved_names(name: str) -> None:
    wrong(f"guests:\n  «{name}: {{}}\n", "is no name for a guest", f"my-{name.lower()}")


@pytest.mark.parametrize(
    "name", ["up", "br", "dev", "type", "true", "0", "veth", "all", "a" * 63, "name-longer-than-15-characters"]
)
def test_odd_names_work(name: str) -> None:
    file = good(f"name: {name}\nnetworks: {{{name}: {{type: bridge}}}}\nguests: {{{name}: {{nics: [{name}]}}}}\n")
    assert list(file.guests) == [name]


def test_counted_name_taken() -> None:
    wrong("guests:\n  many: {count: 3}\n  «many-2: {}\n", '"many" has a count of 3', "another name")
    good("guests:\n  many: {count: 3}\n  many-4: {}\n  many-02: {}\n  many-1-1: {}\n")


@pytest.mark.parametrize(
    ("nic", "message", "hint"),
    [
        ("«lam", 'there is no network "lam"', '"lan"?'),
        ("{network: «zzzzz}", "there is no network", "There is lan"),
        ("{network: lan, address: «10.78.0.2}", "outside 10.77.0.0/24", "10.77.0.2 is free"),
        ("{network: lan, address: [10.77.0.2, «fd01::2]}", "outside fd00::/64", "fd00::2 is free"),
        ("{network: lan, address: «10.77.0.0}", "the network's own address", "10.77.0.2 is free"),
        ("{network: lan, address: «10.77.0.255}", "the broadcast address", "10.77.0.2 is free"),
        ("{network: lan, address: «'fd00::'}", "subnet-router anycast", "fd00::2 is free"),
        ("{network: lan, address: «10.77.0.1}", "the host's own", "10.77.0.2 is free"),
        ("{network: lan, address: «10.77.0.1/24}", "the host's own", "10.77.0.2 is free"),
        ("{network: lan, address: «10.77.0.2/16}", "has the prefix /16", "Write 10.77.0.2."),
        ("{network: lan, address: «dhcp}", "nothing answers DHCP", "Leave address out"),
        ("{network: lan, gateway: «10.78.0.1}", "outside 10.77.0.0/24", "router"),
        ("{network: lan, address: 10.77.0.2, gateway: «10.77.0.2}", "the NIC's own address", "router"),
        ("lan, {network: lan, name: «eth0}", "NIC 1 is called eth0 too", "another name"),
        ("{network: lan, name: eth1}, «lan", "NIC 1 is called eth1 too", "another name"),
        ("{network: lan, device: «macvtap}", "device macvtap doesn't fit", "It can be tap"),
        ("{network: lan, default-route: true}, {network: lan, default-route: «true}", "NIC 1 has the default", "one"),
    ],
)
def test_bad_nic(nic: str, message: str, hint: str) -> None:
    wrong(f"{LAN}guests:\n  w: {{nics: [{nic}]}}\n", message, hint)


@pytest.mark.parametrize(
    ("network", "why"),
    [
        ("type: routed, uplink: eth0, subnet: 10.77.0.0/24", "where each guest is alone with the host"),
        ("type: bridge, subnet: 'fd00:77::/64', dhcp: true", "whose server gives IPv6 addresses"),
        ("type: libvirt, subnet: 10.77.0.0/24", "which libvirt serves only with dhcp: true"),
    ],
)
def test_a_server_that_no_client_would_hear(network: str, why: str) -> None:
    text = f"networks: {{lan: {{{network}}}}}\nguests: {{w: {{nics: [{{network: lan, address: «dhcp}}]}}}}\n"
    wrong(text, f'nothing answers DHCP on network "lan", {why}', "Leave address out")


def test_address_taken_twice() -> None:
    nic = "{nics: [{network: lan, address: 10.77.0.2}]}"
    wrong(
        f"{LAN}guests:\n  a: {nic}\n  b: {nic.replace('10.', '«10.')}\n",
        'that of guest "a", NIC 1',
        "10.77.0.3 is free",
    )


def test_same_address_on_two_lans() -> None:
    text = "networks: {a: {type: bridge, uplink: e0}, b: {type: bridge, uplink: e1}}\nguests:\n"
    nic = "{nics: [{network: %s, address: 192.0.2.9/24}]}"
    good(f"{text}  x: {nic % 'a'}\n  y: {nic % 'b'}\n")
    assert len(problems(f"{text}  x: {nic % 'a'}\n  y: {nic % 'a'}\n")) == 1


def test_no_subnet_of_that_family() -> None:
    text = "networks: {lan: {type: bridge, subnet: 10.77.0.0/24}}\n"
    text += "guests: {w: {nics: [{network: lan, address: «fd00::2}]}}"
    wrong(text, "no IPv6 subnet", "10.77.0.0/24")


def test_address_that_nothing_gives_a_prefix() -> None:
    text = "networks: {lan: {type: bridge}}\nguests: {w: {nics: [{network: lan, address: 10.0.0.2%s}]}}"
    wrong(text.replace("10.0.0.2", "«10.0.0.2") % "", "no prefix length", "10.0.0.2/24")
    good(text % "/24")


@pytest.mark.parametrize(("key", "value"), [("mac", MAC), ("address", "10.77.0.9")])
def test_one_of_it_for_many_guests(key: str, value: str) -> None:
    text = f"{LAN}guests:\n  w: {{count: 2, nics: [{{network: lan, {key}: «{value}}}]}}\n"
    wrong(text, "2 guests can't share one", f"Leave {key} out")


def test_duplicate_mac() -> None:
    text = f"{LAN}guests:\n  a: {{nics: [{{network: lan, mac: {MAC}}}]}}\n"
    text += "  b: {nics: [{network: lan, mac: «52-54-00-12-34-56}]}\n"
    wrong(text, 'that of guest "a", NIC 1', "one is made")


def test_mtu_over_the_networks() -> None:
    text = "networks: {lan: {type: bridge, mtu: 1400}}\nguests: {w: {nics: [{network: lan, mtu: «1500}]}}\n"
    wrong(text, "over the 1400", "1400 or less")


def test_mtu_that_ipv6_cannot_live_with() -> None:
    wrong("networks: {lan: {type: bridge, subnet: fd00::/64, mtu: «1279}}\n", "1280 that IPv6 needs", "1280")
    nic = "{network: lan, mtu: 1000, address: [192.0.2.9/24, «'2001:db8:1::9/64']}"
    text = f"networks: {{lan: {{type: bridge, uplink: eth0}}}}\nguests: {{w: {{nics: [{nic}]}}}}\n"
    wrong(text, "needs an MTU of 1280, as IPv6 does, and the NIC has 1000", "Raise mtu")


@pytest.mark.parametrize(
    ("first", "second", "why"),
    [
        ("bridge", "bridge", BRIDGED),
        ("bridge", "macvtap", BRIDGED),
        ("macvtap", "bridge", BRIDGED),
        ("macvtap, mode: passthru", "macvtap", "mode passthru takes"),
        ("macvtap", "macvtap, mode: passthru", "mode passthru takes"),
    ],
)
def test_uplink_of_two(first: str, second: str, why: str) -> None:
    text = f"networks:\n  a: {{type: {first}, uplink: eth0}}\n  b: {{type: {second}, uplink: eth0}}\n"
    before, last, after = text.rpartition("eth0")
    wrong(f"{before}«{last}{after}", f'uplink eth0 is network "a"\'s too: {why}', "another uplink")


def test_uplink_that_can_be_shared() -> None:
    good("networks: {a: {type: macvtap, uplink: e}, b: {type: macvlan, uplink: e, mode: private}}\n")


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("10.0.0.0/24", "10.0.0.0/24"),
        ("10.0.0.0/8", "10.9.0.0/24"),
        ("10.9.0.0/24", "10.0.0.0/8"),
        ("fd00::/64", "fd00::/48"),
    ],
)
def test_overlapping_subnets(first: str, second: str) -> None:
    text = f"networks:\n  a: {{type: bridge, subnet: {first}}}\n  b: {{type: bridge, subnet: «{second}}}\n"
    wrong(text, f'subnet {second} overlaps {first}, that of network "a"', "another")


def test_more_guests_than_addresses() -> None:
    text = "networks:\n  a: {type: bridge, subnet: 10.0.0.0/24}\nguests: {g: {count: %d, nics: [a]}}\n"
    good(text % 253)
    wrong(text.replace("10.", "«10.") % 254, "has room for 253", "A /23 has enough")
    wrong(text.replace("10.", "«10.") % 1023, "1,023 need an address", "A /21 has enough")
    good((text % 509).replace("/24", "/23"))


def test_more_ports_than_a_bridge_has() -> None:
    text = "networks:\n  a: {type: bridge%s}\nguests: {g: {count: %d, nics: [a]}}\n"
    good(text % ("", 1023))
    good(text % (", uplink: e", 1022))
    wrong(
        text.replace("a: ", "«a: ") % ("", 1024), "1,024 ports, and the kernel gives a bridge 1,023", "several networks"
    )
    wrong(text.replace("a: ", "«a: ") % (", uplink: e", 1023), "1,024 ports", "several networks")
    good("networks: {a: {type: macvtap, uplink: e}}\nguests: {g: {count: 2000, nics: [a]}}\n")


def test_more_guests_than_anybody_runs() -> None:
    text = "«guests:\n" + "".join(f"  g{i}: {{count: 10000}}\n" for i in range(11))
    wrong(text, "110,000 guests; 100,000 is the most", "count")


@pytest.mark.parametrize(
    ("keys", "message", "hint"),
    [
        ("uplink: e, subnet: «10.0.0.0/24", "subnet beside uplink e", "Leave one"),
        ("subnet: 10.0.0.0/24, gateway: «10.1.0.1", "gateway 10.1.0.1 is outside", "10.0.0.1"),
        ("subnet: 10.0.0.0/24, gateway: «10.0.0.255", "no host's address", "10.0.0.1"),
        ("subnet: 10.0.0.0/24, gateway: «fd00::1", "no IPv6 subnet", "Give subnet"),
        ("gateway: «10.0.0.1", "no IPv4 subnet", "leave gateway out"),
    ],
)
def test_bridge(keys: str, message: str, hint: str) -> None:
    wrong(f"networks:\n  b: {{type: bridge, {keys}}}\n", message, hint)


@pytest.mark.parametrize(
    ("keys", "message", "hint"),
    [
        ("mode: vepa, host-access: «true", "host-access needs mode bridge, not vepa", "mode: bridge"),
        ("mode: passthru, host-access: «true", "host-access needs mode bridge, not passthru", "mode: bridge"),
        (f"«macs: [{MAC}]", "mode bridge has no use for macs", "mode: source"),
        ("mode: «source", "mode source without macs", "under macs"),
        (f"mode: source, «macs: [{MAC}, {MAC}]", "given twice", "Leave one out"),
        ("mode: source, macs: «01:00:5e:00:00:01", "multicast", "00:00:5e:00:00:01"),
    ],
)
def test_macvtap(keys: str, message: str, hint: str) -> None:
    wrong(f"networks:\n  m: {{type: macvtap, uplink: e, {keys}}}\n", message, hint)


def test_passthru_has_room_for_one() -> None:
    text = "networks:\n  m: {type: macvtap, uplink: e, mode: passthru}\nguests: {g: {nics: [m%s]}}\n"
    good(text % "")
    wrong(text.replace("passthru", "«passthru") % ", m", "one NIC, and 2 are plugged in", "mode bridge")


def test_port_of_a_macvtap() -> None:
    text = "networks: {m: {type: macvtap, uplink: e}}\nguests: {g: {nics: [{network: m, «port: {isolated: true}}]}}\n"
    wrong(text, "port is a bridge's", "Leave port out")


def test_device_of_a_macvtap() -> None:
    text = "networks: {m: {type: macvtap, uplink: e}}\nguests: {g: {nics: [{network: m, device: «%s}]}}\n"
    wrong(text % "tap", "device tap doesn't fit", "It can be macvtap")
    good(text.replace("«", "") % "macvtap")


def test_a_wrong_network_is_still_one_that_is_there() -> None:
    wrong("networks:\n  lan: {type: bridge, stp: «7}\nguests: {w: {nics: [lan]}}\n", "neither true", "true")


def test_everything_at_once_in_order() -> None:
    text = "networks:\n  a: {type: x}\n  b: {type: bridge, mtu: 1}\nguests: {host: {}}\nzzz: 1\nexpect: [a, b]\n"
    assert [p.line for p in problems(text)] == [2, 3, 4, 5, 6, 6]


def test_nothing_said_acts_on_a_terminal() -> None:
    text = '{"networks": {"a\\u001b": {"type": "bridge"}}, "guests": {"g\\u001b": {"count": 2, "nics": ["b\\u0007"]}}, '
    text += '"expect": ["g\\u001b-3 reaches x\\u0007"]}'
    found = problems(text)
    assert len(found) == 5
    assert all(f"{p.message}{p.hint}".isprintable() for p in found)
