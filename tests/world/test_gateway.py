"""A network that the host is the gateway of: NAT and forwards in both families, and what they do to others: nothing."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

import pytest

from tests.sandbox import Sandbox
from tests.trouble.saying import hide
from tests.world.visits import serving, visit

OUT = """
ip netns add out
ip link add eth0 type veth peer name eth0 netns out
ip link set eth0 up; ip -n out link set eth0 up; ip -n out link set lo up
ip address add 192.0.2.10/24 dev eth0; ip address add 2001:db8:1::10/64 dev eth0 nodad
ip -n out address add 192.0.2.1/24 dev eth0; ip -n out address add 2001:db8:1::1/64 dev eth0 nodad
ip route add default via 192.0.2.1; ip -6 route add default via 2001:db8:1::1
for address in 192.0.2.1 2001:db8:1::1; do until ping -qc1 -W1 $address; do :; done; done
"""
FOREIGN = """
ip link add br9 type bridge; ip link set br9 up; ip address add 10.77.9.1/24 dev br9
for i in 2 3; do
  ip netns add f$i; ip link add f$i type veth peer name eth0 netns f$i; ip link set f$i master br9 up
  ip -n f$i link set eth0 up; ip -n f$i address add 10.77.9.$i/16 dev eth0
done
"""
"""A bridge of somebody else's, whose guests have addresses in the subnet that is translated."""
FILE = """
name: p
networks:
  net: {type: bridge, subnet: [10.77.0.0/16, "fd00:77::/64"], nat: true%s}
guests: {a: {nics: [net]}, b: {nics: [net]}}
"""
FORWARD = ", forward: [{host: 8080, to: a, port: 80}, {host: 8080, to: a, port: 80, proto: udp}]"
HOST, OUTER = ("192.0.2.10", "2001:db8:1::10"), ("192.0.2.1", "2001:db8:1::1")
GUESTS = {"a": ("10.77.0.2", "fd00:77::2"), "b": ("10.77.0.3", "fd00:77::3")}
GATEWAY = ("10.77.0.1", "fd00:77::1")
each_family = pytest.mark.parametrize("family", [0, 1], ids=["ipv4", "ipv6"])


@pytest.fixture
def host(sandbox: Sandbox) -> Iterator[Sandbox]:
    """A host with a NIC to a neighbour, who is gone with the sandbox; what is up at the end goes without a trace."""
    sandbox.sh(OUT)
    before = sandbox.snapshot()
    yield sandbox
    sandbox.guestwire("down", "--project", "p")
    after = sandbox.snapshot()
    assert {name: after[name] for name in after if after[name] != before.get(name)} == {}


def up(sandbox: Sandbox, text: str) -> None:
    """Bring the file up, twice: the second time finds nothing to do."""
    sandbox.write(text)
    sandbox.guestwire("up")
    assert sandbox.json("up")["changes"] == []


@each_family
def test_guests_get_out_in_the_hosts_name_and_nobody_gets_in(host: Sandbox, family: int) -> None:
    up(host, FILE % "")
    with serving(host, "out"), serving(host, "p-a"):
        assert visit(host, "p-a", OUTER[family]) == f"out {HOST[family]}"
        assert visit(host, "p-b", GUESTS["a"][family]) == f"p-a {GUESTS['b'][family]}"
        assert visit(host, "", GUESTS["a"][family]).startswith("p-a ")
        host.sh(f"ip -n out route add {('10.77.0.0/16', 'fd00:77::/64')[family]} via {HOST[family]}")
        assert visit(host, "out", GUESTS["a"][family], seconds=4).startswith("no:")
        host.sh(f"ip -n out route delete {('10.77.0.0/16', 'fd00:77::/64')[family]}")


def test_bridged_frames_keep_their_address_on_our_bridge_and_on_anothers(sandbox: Sandbox) -> None:
    sandbox.sh(OUT + FOREIGN)
    assert sandbox.sh("sysctl -n net.bridge.bridge-nf-call-iptables").strip() == "1"
    up(sandbox, (FILE % FORWARD).replace("10.77.0.0/16", "10.77.0.0/24"))
    sandbox.sh("ip -n f3 address add 192.0.2.10/32 dev eth0")  # bridged, and looks as if it were for the host
    mac = sandbox.sh("ip netns exec f3 cat /sys/class/net/eth0/address").strip()
    sandbox.sh(f"ip -n f2 route add 192.0.2.10 dev eth0; ip -n f2 neigh add 192.0.2.10 lladdr {mac} dev eth0")
    with serving(sandbox, "p-a"), serving(sandbox, "f3"), serving(sandbox, "f3", 8080):
        assert visit(sandbox, "p-b", GUESTS["a"][0]) == "p-a 10.77.0.3"
        assert visit(sandbox, "f2", "10.77.9.3") == "f3 10.77.9.2"
        assert visit(sandbox, "f2", "192.0.2.10", 8080) == "f3 10.77.9.2"


@each_family
@pytest.mark.parametrize("proto", ["tcp", "udp"])
@pytest.mark.parametrize("bridged", ["1", "0"], ids=["nf-call", "no-nf-call"])
def test_forwards_for_all_who_ask(host: Sandbox, family: int, proto: str, bridged: str) -> None:
    host.sh(f"sysctl -qw net.bridge.bridge-nf-call-iptables={bridged} net.bridge.bridge-nf-call-ip6tables={bridged}")
    up(host, FILE % FORWARD)
    with serving(host, "p-a"), serving(host, "", 8081):
        assert visit(host, "out", HOST[family], 8080, proto) == f"p-a {OUTER[family]}"
        assert visit(host, "p-b", HOST[family], 8080, proto) == f"p-a {GATEWAY[family]}"
        assert (
            visit(host, "p-a", HOST[family], 8080, proto) == f"p-a {GATEWAY[family]}"
        )  # by way of the host, to itself
        assert visit(host, "p-b", GATEWAY[family], 8080, proto) == f"p-a {GATEWAY[family]}"
        assert visit(host, "", HOST[family], 8080, proto).startswith("p-a ")
        assert visit(host, "out", HOST[family], 8081, proto) == f"host {OUTER[family]}"


@each_family
def test_what_the_host_serves_itself_alone_stays_its_own(host: Sandbox, family: int) -> None:
    up(host, FILE % FORWARD)
    with serving(host, "", 8080):
        assert visit(host, "", ("127.0.0.1", "::1")[family], 8080).startswith("host ")


def test_rules_are_replaced_under_traffic(host: Sandbox) -> None:
    up(host, FILE % "")
    # Until it is told to stop, for how long changes take is the machine's; a minute at most.
    host.sh(f"ip netns exec p-a ping -i 0.01 -W 1 -c 6000 {OUTER[0]} > pings 2>&1 & echo $! > pid")
    for n in range(4):
        host.write(FILE % f", forward: [{{host: {8080 + n}, to: a}}]")
        host.guestwire("up")
    host.sh("kill -INT $(cat pid); until grep -q loss pings; do :; done")
    told = [int(number) for number in re.findall(r"icmp_seq=(\d+) .*time=", (host.folder / "pings").read_text())]
    assert told == list(range(1, len(told) + 1)), "but for those that are on their way at the end"
    assert host.sh("nft list table inet guestwire-p").count("dport 8083") == 2


def test_networks_that_are_apart_stay_apart_beside_one_that_is_not(host: Sandbox) -> None:
    more = '\n  apart: {type: bridge, subnet: [10.78.0.0/24, "fd00:78::/64"]}'
    text = (FILE % "").replace("\nguests: {", more + "\nguests: {c: {nics: [apart]}, ")
    up(host, text)
    checked = host.json("check")
    reached = {(p["from"], p["to"], p["family"]) for p in checked["pairs"] if p["measured"]}
    for family in (4, 6):
        assert {("a", "c", family), ("c", "a", family), ("c", "gateway", family)}.isdisjoint(reached)
        assert {("a", "b", family), ("a", "gateway", family), ("c", "host", family)} <= reached
    up(host, text.replace(", nat: true", ""))  # and what was for NAT goes with it
    assert host.sh("sysctl -n net.ipv4.conf.p-net.forwarding net.ipv4.conf.eth0.forwarding") == "0\n0\n"
    assert "guestwire" not in host.sh("nft list tables")


def test_in_a_lab_nat_that_is_dropped_leaves_a_host_that_does_not_forward(sandbox: Sandbox) -> None:
    sandbox.write(FILE % "")
    sandbox.guestwire("up", "--lab")
    where = "ip netns exec p-host sysctl -n net.ipv6.conf.all.forwarding net.ipv4.conf.eth0.forwarding"
    assert sandbox.sh(where) == "1\n1\n"
    sandbox.write((FILE % "").replace(", nat: true", ""))
    sandbox.guestwire("up")
    assert sandbox.sh(where) == "0\n0\n"
    assert sandbox.json("up")["changes"] == []


# One that didn't forward would say so when asked for its MAC, and its route be dropped (RFC 4861, 7.2.5).
ROUTER = """
ip netns exec out sysctl -qw net.ipv6.conf.all.forwarding=1
sysctl -qw net.ipv6.conf.eth0.accept_ra=1
ip -6 route delete default
ip netns exec out dnsmasq --conf-file=/dev/null --user=root --group= --port=0 --bind-interfaces --interface=eth0 \
    --except-interface=lo --enable-ra --dhcp-range=2001:db8:1::,ra-only --ra-param=eth0,5,600 --pid-file=/run/ra.pid
until ip -6 route show default proto ra | grep -q via; do sleep 0.02; done
"""


def test_default_route_by_a_routers_advertisement_outlives_forwarding(sandbox: Sandbox) -> None:
    sandbox.sh(OUT + ROUTER)
    shown = ("ip", "-6", "route", "show", "default", "proto", "ra")
    before = sandbox.run(*shown).stdout.split(" expires")[0]
    assert " via fe80:" in before
    up(sandbox, FILE % "")
    assert sandbox.sh("sysctl -n net.ipv6.conf.eth0.accept_ra net.ipv6.conf.all.forwarding") == "2\n1\n"
    assert sandbox.run(*shown).stdout.split(" expires")[0] == before
    with serving(sandbox, "out"):
        assert visit(sandbox, "p-a", OUTER[1]).startswith("out 2001:db8:1:")
    sandbox.guestwire("down")
    assert sandbox.sh("sysctl -n net.ipv6.conf.eth0.accept_ra net.ipv6.conf.all.forwarding") == "1\n0\n"
    assert sandbox.run(*shown).stdout.split(" expires")[0] == before


def test_where_the_nic_is_a_port_its_bridge_hears_routers_beside_forwarding(sandbox: Sandbox) -> None:
    sandbox.sh(OUT + "sysctl -qw net.ipv6.conf.eth0.accept_ra=1")
    up(sandbox, (FILE % "").replace("networks:\n", "networks:\n  lan: {type: bridge, uplink: eth0}\n"))
    assert sandbox.sh("sysctl -n net.ipv6.conf.p-lan.accept_ra") == "2\n"


def test_forwarding_is_given_back_by_the_last_who_needs_it(sandbox: Sandbox) -> None:
    sandbox.sh(OUT)
    before = sandbox.snapshot()
    other = (FILE % "").replace("name: p", "name: q").replace("77", "79")
    for name, text in (("p", FILE % ""), ("q", other)):
        sandbox.guestwire("up", str(sandbox.write(text, f"{name}.yaml")))
    sandbox.guestwire("down", "p.yaml")
    assert sandbox.json("up", "q.yaml")["changes"] == []
    with serving(sandbox, "out"):
        for family in (0, 1):
            assert visit(sandbox, "q-a", OUTER[family]) == f"out {HOST[family]}"
    sandbox.guestwire("down", "q.yaml")
    assert sandbox.snapshot() == before


def test_who_turned_forwarding_on_for_all_meanwhile_keeps_it(sandbox: Sandbox) -> None:
    """As Docker does when it starts."""
    sandbox.sh(OUT)
    up(sandbox, FILE % "")
    sandbox.sh("sysctl -qw net.ipv4.ip_forward=1")
    sandbox.guestwire("down")
    assert sandbox.sh("sysctl -n net.ipv4.conf.eth0.forwarding") == "1\n"


def test_a_link_that_was_not_to_forward_although_all_do_is_so_again(sandbox: Sandbox) -> None:
    sandbox.sh(OUT + "sysctl -qw net.ipv4.ip_forward=1 net.ipv4.conf.eth0.forwarding=0")
    up(sandbox, FILE % "")
    assert sandbox.sh("sysctl -n net.ipv4.conf.eth0.forwarding") == "1\n"
    sandbox.guestwire("down")
    assert sandbox.sh("sysctl -n net.ipv4.conf.eth0.forwarding") == "0\n"


def test_links_that_were_routers_though_the_host_was_none_are_so_again(sandbox: Sandbox) -> None:
    """Turning IPv6 forwarding off for all turns it off for each, on `down` as in an undo."""
    one, whole = (f"sysctl -n net.ipv6.conf.{link}.forwarding" for link in ("eth0", "all"))
    sandbox.sh(OUT + "sysctl -qw net.ipv6.conf.eth0.forwarding=1; ip link add gone type veth peer name other")
    sandbox.sh("sysctl -qw net.ipv6.conf.gone.forwarding=1")
    before = sandbox.snapshot()
    sandbox.write(FILE % "")
    sandbox.guestwire("up", check=False, env={"GUESTWIRE_FAULT": "EBUSY:30"})
    assert (sandbox.sh(f"{one}; {whole}"), sandbox.snapshot()) == ("1\n0\n", before)
    up(sandbox, FILE % "")
    assert sandbox.sh(whole) == "1\n"
    sandbox.sh("ip link delete gone")
    sandbox.guestwire("down")
    assert sandbox.sh(f"{one}; {whole}") == "1\n0\n"


def test_a_table_that_somebody_flushed_is_drift_and_mended(host: Sandbox) -> None:
    """As a firewall's reload does."""
    up(host, FILE % FORWARD)
    host.sh("nft flush ruleset")
    assert [(each["action"], each["kind"]) for each in host.json("status")["drift"]] == [("create", "nft")]
    host.guestwire("up")
    with serving(host, "out"):
        assert visit(host, "p-a", OUTER[0]) == f"out {HOST[0]}"


@pytest.mark.parametrize(
    ("keys", "missing", "package"),
    [(", nat: true", "nft", "nftables"), (", dhcp: true", "dnsmasq", "dnsmasq-base"), ("", "nft dnsmasq", "")],
    ids=["nft", "dnsmasq", "neither"],
)
def test_programs_are_needed_only_where_they_are_used(sandbox: Sandbox, keys: str, missing: str, package: str) -> None:
    sandbox.write((FILE % keys).replace(", nat: true", "", 1) if package != "nftables" else FILE % "")
    hide(sandbox, *missing.split())
    before = sandbox.snapshot()
    done = sandbox.guestwire("up", "--json", check=False)
    assert done.returncode == (69 if package else 0), done.stdout + done.stderr
    if package:
        assert package in json.loads(done.stdout)["error"]["hint"]
        assert sandbox.snapshot() == before
