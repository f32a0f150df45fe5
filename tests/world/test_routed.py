"""Routed guests: each alone on its cable, reached by a route, by proxy ARP and NDP, or behind the host's name."""

from __future__ import annotations

import json

import pytest

from tests.sandbox import Sandbox
from tests.trouble.saying import refused
from tests.world.test_gateway import HOST, OUT, OUTER
from tests.world.visits import serving, visit

LAB = """
name: r
lab: {one-mac: true}
networks:
  lan: {type: bridge, uplink: eth0}
  direct: {type: macvtap, uplink: eth1}
  proxied: {type: routed, uplink: eth2, subnet: [198.18.0.128/28, "2001:db8:3::80/121"], proxy: true}
  plain: {type: routed, subnet: [10.9.0.0/24, "fd00:9::/64"]}
  walled: {type: routed, subnet: [10.8.0.0/24, "fd00:8::/64"], nat: true, forward: [{host: 8080, to: wall, port: 80}]}
guests:
  old: {nics: [lan]}
  tap: {nics: [direct]}
  a: {nics: [proxied]}
  b: {nics: [{network: proxied, address: 198.18.0.140}]}
  p: {nics: [plain]}
  wall: {nics: [walled]}
  wall2: {nics: [walled]}
  held: {nics: [{network: plain, device: tap}]}
  both: {nics: [direct, plain]}
expect:
  - both reaches p
  - held reaches both
  - held reaches host
  - held reaches p
  - p reaches held
  - a reaches lan
  - a reaches b
  - a reaches internet
  - lan reaches a
  - lan reaches b
  - lan reaches a on tcp/80
  - old does not reach lan
  - tap does not reach lan
  - p reaches host
  - p does not reach internet
  - p reaches a
  - wall reaches internet
  - wall reaches wall2
  - wall2 reaches host on tcp/8080
  - wall reaches host on tcp/8080
  - lan reaches host on tcp/8080
  - lan does not reach wall
"""
PROXIED = """
name: p
networks: {net: {type: routed, uplink: eth0, subnet: [192.0.2.128/28, "2001:db8:1::80/121"], proxy: true}}
guests: {a: {nics: [net]}, b: {nics: [net]}}
"""
GUEST = ("192.0.2.129", "2001:db8:1::81")
SIBLING = ("192.0.2.130", "2001:db8:1::82")
each_family = pytest.mark.parametrize("family", [0, 1], ids=["ipv4", "ipv6"])


def up(sandbox: Sandbox, text: str, name: str = "guestwire.yaml") -> None:
    """Bring the file up, twice: the second time finds nothing to do."""
    path = str(sandbox.write(text, name))
    sandbox.guestwire("up", path)
    assert sandbox.json("up", path)["changes"] == []


HEARD = """
import socket, subprocess, sys
from guestwire.frames import Tun
name, address = sys.argv[1:]
with Tun(name) as tun:
    with subprocess.Popen(["ping", "-i0.2", address], stdout=subprocess.DEVNULL) as ping:
        while tun.read()[16:20] != socket.inet_aton(address):
            pass
        ping.kill()
print("heard")
"""


def test_program_has_a_tun_to_which_its_address_leads(sandbox: Sandbox) -> None:
    before = sandbox.snapshot()
    own = ", address: [192.0.2.130, 2001:db8:1::82]"
    program = f"{{kind: process, nics: [{{network: net, name: tun7{own}}}]}}"
    text = PROXIED.replace("uplink: eth0, ", "").replace(", proxy: true", "")
    text = text.replace("b: {nics: [net]}", f"b: {program}")
    up(sandbox, text)
    shown = json.loads(sandbox.sh("ip -d -j link show dev tun7"))[0]["linkinfo"]
    assert (shown["info_kind"], shown["info_data"]["type"]) == ("tun", "tun")
    assert sandbox.python(HEARD, "tun7", SIBLING[0]).stdout == "heard\n"
    sandbox.write(text.replace(own, ""))
    assert "no address on a routed network" in sandbox.json("plan", code=65)["error"]["message"]
    sandbox.guestwire("down")
    assert sandbox.snapshot() == before


def proxied(sandbox: Sandbox) -> set[str]:
    """The addresses that the host answers for."""
    shown = sandbox.sh("ip -4 neigh show proxy; ip -6 neigh show proxy")
    return {line.split()[0] for line in shown.splitlines()}


def test_where_one_mac_is_allowed_routed_guests_reach_the_lan_and_bridged_ones_do_not(sandbox: Sandbox) -> None:
    before = sandbox.snapshot()
    sandbox.write(LAB)
    sandbox.guestwire("up", "--lab")
    assert sandbox.json("up", "--lab")["changes"] == []
    checked = sandbox.json("check")
    assert checked["held"], [each for each in checked["expectations"] if not each["held"]]
    ports = {each["name"]: (each["link"], each["ports"]) for each in sandbox.json("status")["networks"]}
    assert ports["proxied"] == ("eth2", ["r-a.0", "r-b.0"])
    assert ports["plain"] == (None, ["r-both.1", "r-held.0", "r-p.0"])
    assert "missing" not in sandbox.guestwire("status").stdout
    assert "r-a.0" in sandbox.guestwire("draw").stdout
    sandbox.guestwire("down")
    assert sandbox.snapshot() == before


@each_family
def test_everybody_sees_everybodys_own_address(sandbox: Sandbox, family: int) -> None:
    sandbox.sh(OUT)
    before = sandbox.snapshot()
    up(sandbox, PROXIED)
    with serving(sandbox, "out"), serving(sandbox, "p-a"):
        assert visit(sandbox, "p-a", OUTER[family]) == f"out {GUEST[family]}"
        assert visit(sandbox, "out", GUEST[family]) == f"p-a {OUTER[family]}"
        assert visit(sandbox, "p-b", GUEST[family]) == f"p-a {SIBLING[family]}"
        assert visit(sandbox, "", GUEST[family]) == f"p-a {HOST[family]}"
    sandbox.guestwire("down")
    assert sandbox.snapshot() == before


def test_the_host_answers_for_its_guests_and_for_nobody_else(sandbox: Sandbox) -> None:
    sandbox.sh(OUT)
    up(sandbox, PROXIED)
    assert proxied(sandbox) == {"192.0.2.129", "192.0.2.130", "2001:db8:1::81", "2001:db8:1::82"}
    assert sandbox.sh("sysctl -n net.ipv4.conf.eth0.proxy_arp").strip() == "0"
    sandbox.run("ip", "netns", "exec", "out", "ping", "-c1", "-W2", "192.0.2.135", check=False)
    assert "lladdr" not in sandbox.sh("ip -n out neigh show 192.0.2.135")
    host = json.loads(sandbox.sh("ip -j link show eth0"))[0]["address"]
    assert sandbox.answers("192.0.2.129", "out")
    assert host in sandbox.sh("ip -n out neigh show 192.0.2.129")


def test_entries_come_and_go_with_their_guests_and_others_stay(sandbox: Sandbox) -> None:
    sandbox.sh(OUT + "ip neigh add proxy 192.0.2.200 dev eth0; ip neigh add proxy 192.0.2.131 dev eth0")
    before = proxied(sandbox)
    up(sandbox, PROXIED.replace("b: {", "b: {count: 3, "))
    assert {"192.0.2.130", "192.0.2.131", "192.0.2.132"} <= proxied(sandbox)
    up(sandbox, PROXIED)
    assert proxied(sandbox) == before | {"192.0.2.129", "192.0.2.130", "2001:db8:1::81", "2001:db8:1::82"}
    up(sandbox, PROXIED.replace(", proxy: true", "").replace("192.0.2.128", "10.9.0.128").replace("db8:1:", "db8:9:"))
    assert proxied(sandbox) == before
    assert sandbox.sh("sysctl -n net.ipv6.conf.eth0.proxy_ndp") == "0\n"
    sandbox.guestwire("down")
    assert proxied(sandbox) == before


def test_what_two_projects_need_of_an_uplink_goes_with_the_last(sandbox: Sandbox) -> None:
    sandbox.sh(OUT)
    before = sandbox.snapshot()
    other = PROXIED.replace("name: p", "name: q").replace(".128/28", ".144/28").replace("::80/", "::100/")
    up(sandbox, PROXIED, "p.yaml")
    up(sandbox, other, "q.yaml")
    sandbox.guestwire("down", "p.yaml")
    with serving(sandbox, "q-a"):
        assert visit(sandbox, "out", "192.0.2.145").startswith("q-a ")
        assert visit(sandbox, "out", "2001:db8:1::101").startswith("q-a ")
    sandbox.guestwire("down", "q.yaml")
    assert sandbox.snapshot() == before


def test_guests_keep_their_addresses_when_others_come(sandbox: Sandbox) -> None:
    sandbox.sh(OUT)
    up(sandbox, PROXIED)
    was = {guest["name"]: guest["nics"][0]["addresses"] for guest in sandbox.json("status")["guests"]}
    up(sandbox, PROXIED.replace("a: {", "first: {nics: [net]}, a: {"))
    now = {guest["name"]: guest["nics"][0]["addresses"] for guest in sandbox.json("status")["guests"]}
    assert {name: now[name] for name in was} == was
    assert now["first"] == ["192.0.2.131/32", "2001:db8:1::83/128"]


@pytest.mark.parametrize(
    ("subnet", "says"),
    [("198.51.100.0/28", "isn't inside that of uplink eth0, 192.0.2.0/24"), ("fd00::/64", "2001:db8:1::/64")],
)
def test_proxied_subnet_that_is_no_part_of_the_uplinks(sandbox: Sandbox, subnet: str, says: str) -> None:
    sandbox.sh(OUT)
    sandbox.write(PROXIED.replace('[192.0.2.128/28, "2001:db8:1::80/121"]', f"'{subnet}'"))
    refused(sandbox, "up", code=65, says=says, hint="leave proxy out")


def test_proxied_address_that_is_the_hosts_own(sandbox: Sandbox) -> None:
    sandbox.sh(OUT)
    text = PROXIED.replace("192.0.2.128/28", "192.0.2.0/28")
    text = text.replace("a: {nics: [net]}", "a: {nics: [{network: net, address: %s}]}")
    for address, whose in (("192.0.2.10", "the host's"), ("192.0.2.1", "the gateway's")):
        sandbox.write(text % address)
        refused(sandbox, "up", code=65, says=f"address {address} is {whose} address", hint="Use another")


def test_hundreds_of_routed_guests_are_checked(sandbox: Sandbox) -> None:
    text = "name: p\nnetworks: {net: {type: routed, subnet: 10.9.0.0/22}}\nguests: {g: {count: 140, nics: [net]}}\n"
    up(sandbox, text + "expect: [g-1 reaches g-140, g-70 reaches g-2]\n")
    assert sandbox.json("check")["held"]


def test_a_routed_cable_that_becomes_a_port_forwards_no_more(sandbox: Sandbox) -> None:
    """The cable stays: what its way of being a network took, and was ours, goes all the same."""
    text = "name: r\nnetworks:\n  net: {type: %s, subnet: 10.77.0.0/24}\nguests:\n  web: {nics: [net]}\n"
    told = "cat /proc/sys/net/ipv4/conf/r-web.0/forwarding"
    for kind, forwards in (("routed", "1\n"), ("bridge", "0\n")):
        sandbox.write(text % kind)
        sandbox.guestwire("up", "--lab")
        assert sandbox.run("ip", "netns", "exec", "r-host", "sh", "-c", told).stdout == forwards
