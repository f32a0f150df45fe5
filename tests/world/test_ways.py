"""Each way to network a guest, set and changed on a host: uplinks of every sort, port options, MTUs, modes, names."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from tests.sandbox import Sandbox

CABLE = """
ip link add eth0 address 02:00:00:00:00:0a type veth peer name far0
ip link set far0 up
"""
UP = "ip link set eth0 up\n"
ON_BRIDGE = "name: p\nnetworks: {{net: {{type: bridge{net}}}}}\nguests: {{{guests}}}\n"
ON_NIC = "name: p\nnetworks: {{net: {{type: macvtap, uplink: eth0{net}}}}}\nguests: {{{guests}}}\n"


def link(sandbox: Sandbox, name: str, netns: str = "") -> Any:
    """A link as `ip -j -d link` tells it."""
    return json.loads(
        sandbox.run("ip", *(["-n", netns] if netns else []), "-j", "-d", "link", "show", "dev", name).stdout
    )[0]


def port(sandbox: Sandbox, name: str) -> Any:
    """What a bridge has been told about a port."""
    return link(sandbox, name)["linkinfo"]["info_slave_data"]


def pinged(sandbox: Sandbox, address: str, *words: str) -> bool:
    """Whether guest `a` gets an answer from that address."""
    return sandbox.answers(address, "p-a", *words)


def build(sandbox: Sandbox, text: str) -> list[str]:
    """Write the file and bring it up; which links are new or changed. No guest asks a LAN that isn't there by DHCP."""
    text = text.replace("nics: [net]", "nics: [{network: net}]")
    sandbox.write(re.sub(r"\{network: net(?![^}]*address)", "{network: net, address: []", text))
    changes = sandbox.json("up")["changes"]
    assert sandbox.json("up")["changes"] == []
    return [f"{change['action']} {change['kind']} {change['name']}" for change in changes]


def test_bridge_that_is_there_takes_the_guests_as_ports(sandbox: Sandbox) -> None:
    sandbox.sh(CABLE + UP + "ip link add br0 type bridge; ip link set eth0 master br0; ip link set br0 up")
    sandbox.sh("ip address add 192.0.2.10/24 dev br0; ip route add default via 192.0.2.1")
    before = sandbox.snapshot()
    build(sandbox, ON_BRIDGE.format(net=", uplink: br0", guests="a: {nics: [{network: net, address: 192.0.2.20}]}"))
    assert link(sandbox, "p-a.0")["master"] == "br0"
    assert "default via 192.0.2.1" in sandbox.sh("ip -n p-a route")
    assert pinged(sandbox, "192.0.2.10")
    assert sandbox.json("status")["networks"][0]["link"] == "br0"
    sandbox.guestwire("down")
    assert sandbox.snapshot() == before


def test_uplink_that_is_down_is_given_back_down(sandbox: Sandbox) -> None:
    sandbox.sh(CABLE)
    before = sandbox.snapshot()
    for text in (
        ON_BRIDGE.format(net=", uplink: eth0", guests="a: {nics: [net]}"),
        ON_NIC.format(net="", guests="a: {nics: [net]}"),
    ):
        build(sandbox, text)
        assert "UP" in link(sandbox, "eth0")["flags"]
        sandbox.guestwire("down")
        assert sandbox.snapshot() == before


def test_uplink_goes_from_one_way_to_the_other_and_is_given_back_as_it_first_was(sandbox: Sandbox) -> None:
    sandbox.sh(CABLE)
    before = sandbox.snapshot()
    guests = "a: {nics: [net]}"
    ways = [
        ON_BRIDGE.format(net=", uplink: eth0", guests=guests),
        ON_NIC.format(net="", guests=guests),
        ON_NIC.format(net=", mode: passthru", guests=guests),
        ON_BRIDGE.format(net=", uplink: eth0, mtu: 1400", guests=guests),
        ON_NIC.format(net=", mode: vepa", guests="b: {nics: [net]}"),
        ON_NIC.format(net=", mode: passthru", guests="a: {nics: [net]}"),
        ON_BRIDGE.format(net=", uplink: eth0", guests="b: {nics: [net]}"),
        ON_BRIDGE.format(net="", guests="b: {nics: [net]}"),
    ]
    for text in ways:
        build(sandbox, text)
    sandbox.guestwire("down")
    assert sandbox.snapshot() == before


def test_bridge_has_its_uplinks_mac_and_the_least_mtu_of_its_ports(sandbox: Sandbox) -> None:
    sandbox.sh(CABLE + UP + "ip link set eth0 mtu 1450")
    build(sandbox, ON_BRIDGE.format(net=", uplink: eth0", guests="a: {nics: [net]}"))
    assert link(sandbox, "p-net")["address"] == "02:00:00:00:00:0a"
    assert [link(sandbox, name)["mtu"] for name in ("p-net", "p-a.0", "eth0")] == [1450] * 3
    assert link(sandbox, "eth0", "p-a")["mtu"] == 1450
    build(
        sandbox,
        ON_BRIDGE.format(net=", uplink: eth0", guests="a: {nics: [net]}, b: {nics: [{network: net, mtu: 1400}]}"),
    )
    assert link(sandbox, "p-net")["mtu"] == 1400


def test_bridge_takes_the_mtu_of_a_nic_that_is_below_its_own(sandbox: Sandbox) -> None:
    guests = "a: {{nics: [net]}}, b: {{nics: [{{network: net, mtu: {}}}]}}"
    for mtu, least in ((1400, 1400), (1300, 1300), (1500, 1500)):
        build(sandbox, ON_BRIDGE.format(net=", subnet: 10.1.0.0/24, mtu: 1500", guests=guests.format(mtu)))
        assert link(sandbox, "p-net")["mtu"] == least
        assert sandbox.json("up")["changes"] == []


def test_one_mtu_holds_for_a_whole_segment_and_can_be_changed(sandbox: Sandbox) -> None:
    guests = "a: {nics: [net]}, b: {nics: [net]}"
    for mtu in (1400, 9000, 1300):
        build(sandbox, ON_BRIDGE.format(net=f", mtu: {mtu}, subnet: 10.1.0.0/24", guests=guests))
        near = [link(sandbox, name)["mtu"] for name in ("p-net", "p-a.0", "p-b.0")]
        far = [link(sandbox, "eth0", netns)["mtu"] for netns in ("p-a", "p-b")]
        assert near + far == [mtu] * 5
        assert pinged(sandbox, "10.1.0.3", "-M do", f"-s {mtu - 28}")


def test_mtu_that_the_file_no_longer_gives_is_the_usual_one_again(sandbox: Sandbox) -> None:
    guests = "a: {nics: [net]}"
    build(sandbox, ON_BRIDGE.format(net=", mtu: 1400", guests=guests))
    build(sandbox, ON_BRIDGE.format(net="", guests=guests))
    assert [link(sandbox, name)["mtu"] for name in ("p-net", "p-a.0")] == [1500] * 2
    assert link(sandbox, "eth0", "p-a")["mtu"] == 1500


OPTIONS = {"isolated": True, "hairpin": True, "learning": False, "flood": False, "group-fwd-mask": 16384}


def test_port_options_are_set_changed_and_reset(sandbox: Sandbox) -> None:
    words = ", ".join(f"{name}: {str(value).lower()}" for name, value in OPTIONS.items())
    plain = ON_BRIDGE.format(net="", guests="a: {nics: [net]}, b: {nics: [net]}")
    build(sandbox, plain)
    usual = port(sandbox, "p-a.0")
    one = ON_BRIDGE.format(net="", guests=f"a: {{nics: [{{network: net, port: {{{words}}}}}]}}, b: {{nics: [net]}}")
    assert build(sandbox, one) == ["change veth p-a.0"]
    told = {name: port(sandbox, "p-a.0")[name.replace("-", "_")] for name in OPTIONS}
    assert told == {**OPTIONS, "group-fwd-mask": told["group-fwd-mask"]}
    assert int(str(told["group-fwd-mask"]), 0) == 16384
    assert port(sandbox, "p-b.0")["isolated"] is False
    every = ON_BRIDGE.format(
        net=", port: {isolated: true}", guests="a: {nics: [{network: net, port: {isolated: false}}]}, b: {nics: [net]}"
    )
    build(sandbox, every)
    assert [port(sandbox, name)["isolated"] for name in ("p-a.0", "p-b.0")] == [False, True]
    build(sandbox, plain)
    now = port(sandbox, "p-a.0")
    assert {name: now[name.replace("-", "_")] for name in OPTIONS} == {
        name: usual[name.replace("-", "_")] for name in OPTIONS
    }


def test_isolated_ports_reach_the_bridge_and_not_one_another(sandbox: Sandbox) -> None:
    net = ", subnet: 10.1.0.0/24, port: {isolated: true}"
    build(sandbox, ON_BRIDGE.format(net=net, guests="a: {nics: [net]}, b: {nics: [net]}"))
    assert pinged(sandbox, "10.1.0.1")
    assert not sandbox.answers("10.1.0.3", "p-a", seconds=2)


def test_stp_is_off_until_it_is_asked_for(sandbox: Sandbox) -> None:
    for stp in (False, True, False):
        build(sandbox, ON_BRIDGE.format(net=f", stp: {str(stp).lower()}", guests="a: {nics: [net]}"))
        assert link(sandbox, "p-net")["linkinfo"]["info_data"]["stp_state"] == stp


def test_check_waits_for_ports_that_do_not_forward_yet(sandbox: Sandbox) -> None:
    net = ", subnet: 10.1.0.0/24, stp: true"
    build(sandbox, ON_BRIDGE.format(net=net, guests="a: {nics: [net]}, b: {nics: [net]}"))
    sandbox.sh("ip link set p-net type bridge forward_delay 200")  # hundredths of a second, in place of 1,500
    sandbox.sh("for port in p-a.0 p-b.0; do ip link set $port down; ip link set $port up; done")
    sandbox.until("bridge link | grep -q -e 'state listening' -e 'state learning'")  # as the kernel gets to it
    reached = {(p["from"], p["to"]) for p in sandbox.json("check")["pairs"] if p["measured"]}
    assert {("a", "b"), ("b", "a"), ("a", "host"), ("host", "a")} <= reached


def test_names_that_are_too_long_are_shortened_and_kept_in_the_alias(sandbox: Sandbox) -> None:
    guest = "{count: 3, nics: [a-long-network]}"
    text = f"name: a-long-project\nnetworks: {{a-long-network: {{type: bridge}}}}\nguests: {{a-long-guest: {guest}}}\n"
    before = sandbox.snapshot()
    build(sandbox, text)
    found = json.loads(sandbox.run("ip", "-j", "-d", "link").stdout)
    names = {each["ifalias"]: each["ifname"] for each in found if each["ifname"] != "lo"}
    assert set(names) == {
        "guestwire:a-long-project:a-long-project-a-long-network",
        *(f"guestwire:a-long-project:a-long-project-a-long-guest-{n}.0" for n in (1, 2, 3)),
    }
    assert all(len(name) <= 15 for name in names.values())
    sandbox.guestwire("down")
    assert sandbox.snapshot() == before


@pytest.mark.parametrize("name", ["up", "br", "dev", "type", "all", "default", "lo", "on"])
def test_guests_and_networks_may_have_names_that_are_words_of_ip(sandbox: Sandbox, name: str) -> None:
    word = f'"{name}"'
    net, guest = "{type: bridge, subnet: 10.1.0.0/24}", f"{{nics: [{{network: {word}, name: dev}}]}}"
    text = f"name: {word}\nnetworks: {{{word}: {net}}}\nguests: {{{word}: {guest}}}\n"
    before = sandbox.snapshot()
    commands = build(sandbox, text)
    assert f"create bridge {name}-{name}" in commands
    assert sandbox.json("status")["guests"][0]["state"] == "up"
    sandbox.guestwire("down")
    assert sandbox.snapshot() == before


def test_passthru_gives_a_guest_the_nics_own_mac(sandbox: Sandbox) -> None:
    sandbox.sh(CABLE + UP)
    before = sandbox.snapshot()
    build(sandbox, ON_NIC.format(net=", mode: passthru", guests="a: {nics: [net]}"))
    assert link(sandbox, "eth0", "p-a")["address"] == "02:00:00:00:00:0a"
    sandbox.guestwire("down")
    assert sandbox.snapshot() == before


def test_mac_that_passthru_gives_the_nic_is_taken_back(sandbox: Sandbox) -> None:
    sandbox.sh(CABLE + UP)
    before = sandbox.snapshot()
    text = ON_NIC.format(net=", mode: passthru", guests='a: {nics: [{network: net, mac: "52:54:00:00:00:01"}]}')
    build(sandbox, text)
    assert link(sandbox, "eth0", "p-a")["address"] == "52:54:00:00:00:01"
    assert link(sandbox, "eth0")["address"] == "52:54:00:00:00:01"
    build(sandbox, text.replace("00:01", "00:02"))
    assert link(sandbox, "eth0")["address"] == "52:54:00:00:00:02"
    sandbox.guestwire("down")
    assert sandbox.snapshot() == before
    build(sandbox, text)
    build(sandbox, ON_NIC.format(net=", mode: passthru", guests="a: {nics: [net]}"))
    assert link(sandbox, "eth0", "p-a")["address"] == "02:00:00:00:00:0a"
    build(sandbox, text)
    build(sandbox, ON_NIC.format(net="", guests="a: {nics: [net]}"))
    assert link(sandbox, "eth0")["address"] == "02:00:00:00:00:0a"
    sandbox.guestwire("down")
    assert sandbox.snapshot() == before


def test_source_mode_hears_the_listed_macs(sandbox: Sandbox) -> None:
    sandbox.sh(CABLE + UP)
    before = sandbox.snapshot()
    one, two, three = (f"52:54:00:00:00:0{n}" for n in (1, 2, 3))
    length = 1000
    for macs in ([one, two], [two], [three, one]):
        listed = ", ".join(f'"{mac}"' for mac in macs)
        build(sandbox, ON_NIC.format(net=f", mode: source, macs: [{listed}]", guests="a: {nics: [net]}"))
        found = link(sandbox, "eth0", "p-a")
        assert found["linkinfo"]["info_data"]["mode"] == "source"
        assert sorted(found["linkinfo"]["info_data"]["macaddr_data"]) == sorted(macs)
        assert found["txqlen"] == length
        sandbox.sh("ip -n p-a link set eth0 txqueuelen 77")  # what a new link wouldn't have
        length = 77
    sandbox.guestwire("down")
    assert sandbox.snapshot() == before


def test_modes_change_in_place_but_for_passthru(sandbox: Sandbox) -> None:
    sandbox.sh(CABLE + UP)
    guests = "a: {nics: [net]}"
    build(sandbox, ON_NIC.format(net=", mode: vepa", guests=guests))
    told = "ip -n p-a link set eth0 txqueuelen 77"  # what a new link hasn't been told
    sandbox.sh(told)
    for mode in ("private", "bridge", "vepa"):
        assert build(sandbox, ON_NIC.format(net=f", mode: {mode}", guests=guests)) == ["change macvlan eth0"]
        found = link(sandbox, "eth0", "p-a")
        assert (found["linkinfo"]["info_data"]["mode"], found["txqlen"]) == (mode, 77)
    for mode in ("passthru", "bridge"):
        build(sandbox, ON_NIC.format(net=f", mode: {mode}", guests=guests))
        found = link(sandbox, "eth0", "p-a")
        assert found["linkinfo"]["info_data"]["mode"] == mode
        assert found["txqlen"] != 77
        sandbox.sh(told)


def test_macs_that_two_guests_exchange_are_exchanged(sandbox: Sandbox) -> None:
    sandbox.sh(CABLE + UP)
    nic = 'nics: [{{network: net, mac: "52:54:00:00:00:0{}"}}]'
    text = f"a: {{{{{nic}}}}}, b: {{{{{nic}}}}}"
    for net in (ON_NIC, ON_BRIDGE):
        build(sandbox, net.format(net="", guests=text.format(1, 2)))
        build(sandbox, net.format(net="", guests=text.format(2, 1)))
        assert link(sandbox, "eth0", "p-a")["address"] == "52:54:00:00:00:02"
        build(sandbox, net.format(net="", guests=text.format(2, 1).replace("b: ", "c: ")))
        assert link(sandbox, "eth0", "p-c")["address"] == "52:54:00:00:00:01"
        sandbox.guestwire("down")


def test_passthru_for_one_comes_where_several_were(sandbox: Sandbox) -> None:
    sandbox.sh(CABLE + UP)
    build(sandbox, ON_NIC.format(net="", guests="a: {nics: [net]}, b: {nics: [net]}"))
    build(sandbox, ON_NIC.format(net=", mode: passthru", guests="a: {nics: [net]}"))
    build(sandbox, ON_NIC.format(net="", guests="a: {nics: [net]}, b: {nics: [net]}"))
    assert link(sandbox, "eth0", "p-b")["linkinfo"]["info_data"]["mode"] == "bridge"
