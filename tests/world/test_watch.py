"""A watch puts back what is broken, whatever breaks, and nothing else; guests reach each other again."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic

import pytest

from guestwire.linux.libc import CLONE_NEWNET, setns
from tests.sandbox import Sandbox
from tests.world.watching import PATIENCE, again, nothing_left, picture, watching

FILE = """
name: p
networks:
  lan: {type: bridge, subnet: [10.1.0.0/24, "fd00:1::/64"], nat: true, dhcp: true}
  far: {type: routed, subnet: 10.2.0.0/24}
guests:
  a: {nics: [lan]}
  b: {nics: [lan, far]}
  c: {nics: [{network: lan, device: tap, port: {isolated: true}}]}
  d: {nics: [far], dns: [192.0.2.1]}
"""
BREAKS = {
    "a bridge is deleted": ("ip link delete p-lan", "bridge p-lan was gone"),
    "a bridge is set down": ("ip link set p-lan down", "bridge p-lan, up"),
    "a bridge is renamed": ("ip link set p-lan down && ip link set p-lan name other", "p-lan"),
    "a port is set down": ("ip link set p-a.0 down", "veth p-a.0, up"),
    "a port is taken out": ("ip link set p-a.0 nomaster", "veth p-a.0, master"),
    "a port is moved": ("ip link add other type bridge && ip link set p-a.0 master other", "veth p-a.0, master"),
    "a port's option": ("bridge link set dev p-c.0 isolated off", "tap p-c.0, port"),
    "a port is renamed": ("ip link set p-a.0 down && ip link set p-a.0 name other0", "p-a.0"),
    "a port is deleted": ("ip link delete p-a.0", "veth p-a.0 was gone"),
    "a port leaves the host": ("ip link set p-a.0 netns p-d", "p-a.0"),
    "a guest's NIC is set down": ("ip -n p-a link set eth0 down", "veth eth0 in namespace p-a, up"),
    "a guest's NIC is deleted": ("ip -n p-a link delete eth0", "p-a.0"),
    "a MAC": ("ip -n p-a link set eth0 address 02:00:00:00:00:99", "veth eth0 in namespace p-a, mac"),
    "an MTU": ("ip link set p-a.0 mtu 1400", "veth p-a.0, mtu"),
    "an address": ("ip address delete 10.1.0.1/24 dev p-lan", "address 10.1.0.1/24 p-lan was gone"),
    "a guest's address": ("ip -n p-a address flush dev eth0", "address 10.1.0.2/24 eth0 in namespace p-a was gone"),
    "a guest's route": ("ip -n p-a route delete default", "route 0.0.0.0/0 in namespace p-a was gone"),
    "a host's route": ("ip route delete 10.2.0.2", "route 10.2.0.2/32 was gone"),
    "a sysctl": ("sysctl -qw net.ipv4.conf.p-lan.forwarding=0", "forwarding, content"),
    "a sysctl of all": ("sysctl -qw net.ipv6.conf.all.forwarding=0", "forwarding, content"),
    "a table is deleted": ("nft delete table inet guestwire-p", "nft inet guestwire-p was gone"),
    "a table is emptied": ("nft flush table inet guestwire-p", "nft inet guestwire-p, digest"),
    "all tables": ("nft flush ruleset", "nft inet guestwire-p was gone"),
    "a server is killed": ("kill -9 $(cat /run/guestwire/p/dhcp.lan.pid)", "DHCP server on p-lan (dnsmasq)"),
    "a cable is killed": ("kill -9 $(pgrep -f 'guestwire.frames.serve[r]')", "cable eth0 in namespace p-c was gone"),
    "a tap is deleted": ("ip link delete p-c.0", "tap p-c.0 was gone"),
    "a namespace is deleted": ("ip netns delete p-a", "namespace p-a was gone"),
    "a file": ("rm /etc/netns/p-d/resolv.conf", "file /etc/netns/p-d/resolv.conf was gone"),
}


FOREIGN = "ip -o link show foreign; ip address show dev foreign; nft list table ip foreign; ip route show dev foreign"
TABLE = "nft 'add table ip foreign; add chain ip foreign c; add rule ip foreign c meta mark 7 accept'"


@contextmanager
def inside(sandbox: Sandbox) -> Iterator[None]:
    """Have this thread in a sandbox's network for a block, where its abstract sockets are."""
    home = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    there = os.open(f"/proc/{sandbox.pid}/ns/net", os.O_RDONLY)
    try:
        setns(there, CLONE_NEWNET)
        yield
    finally:
        setns(home, CLONE_NEWNET)
        os.close(home)
        os.close(there)


@pytest.fixture
def host(sandbox: Sandbox) -> Sandbox:
    """A sandbox with the project up, and things of other people's in it."""
    sandbox.sh(
        "ip link add foreign type bridge; ip link add f0 master foreign type veth peer f1; ip link set foreign up;"
        f"ip address add 192.0.2.1/24 dev foreign; ip route add 198.51.100.0/24 dev foreign; {TABLE}"
    )
    sandbox.write(FILE)
    sandbox.guestwire("up")
    return sandbox


def test_whatever_breaks_is_put_back(host: Sandbox) -> None:
    foreign, before = host.sh(FOREIGN), picture(host)
    with watching(host) as watch:
        for name, (script, word) in BREAKS.items():
            print(name)
            watch.breaks(script, word)
            host.sh(f"ip link delete other 2>/dev/null || true; nft list table ip foreign >/dev/null 2>&1 || {TABLE}")
            again(watch, before)
            for netns, address in (("p-a", "10.1.0.3"), ("p-a", "10.2.0.2"), ("p-c", "10.1.0.1"), ("p-a", "fd00:1::1")):
                assert host.answers(address, netns), (name, address)
        assert watch.stop() == 0
    assert host.sh(FOREIGN) == foreign
    host.guestwire("down")


def test_many_breaks_at_once_are_one_repair_or_few(host: Sandbox) -> None:
    before = picture(host)
    with watching(host) as watch:
        at_once = "link set p-b.1 down\nlink set p-b.1 up\n" * 20  # by one process, in a few milliseconds
        script = f"ip link delete p-lan; ip -n p-b link set eth0 down; ip -batch - <<E\n{at_once}E\n"
        watch.breaks(script, "p-lan was gone")
        again(watch, before)
        assert len(watch.lines) <= 10, watch.lines


def test_a_server_answers_on_a_bridge_that_was_made_anew(host: Sandbox) -> None:
    host.sh("ip netns add w && ip link add w0 type veth peer eth0 netns w && ip -n w link set eth0 up")
    with watching(host) as watch:
        watch.breaks("ip link delete p-lan", "p-lan was gone")
        host.sh("ip link set w0 master p-lan up")
        asked = "ip netns exec w timeout 60 udhcpc -f -q -n -i eth0 -s /bin/true -t 50 -T 1"
        assert "lease of 10.1.0." in host.run("sh", "-euc", asked).stderr


def test_what_somebody_keeps_undoing_is_told_and_let_be(host: Sandbox) -> None:
    with watching(host) as watch:
        for _ in range(2):
            watch.breaks("ip link set p-a.0 nomaster", "veth p-a.0, master")
        for seconds in (1, 2, 4):
            line = watch.breaks("ip link set p-a.0 nomaster", "veth p-a.0, master")
            assert f"undone again and again: left alone for {seconds} s" in line
        watch.breaks("ip -n p-a route delete default", "route 0.0.0.0/0 in namespace p-a")  # others aren't let be


def test_up_is_taken_over_and_down_ends_it(host: Sandbox) -> None:
    with watching(host) as watch:
        host.write(FILE.replace("  d: {", "  e: {nics: [lan]}\n  d: {"))
        assert host.json("up")["changes"]
        watch.breaks("ip -n p-e link set eth0 down", "veth eth0 in namespace p-e, up")
        host.write(FILE)
        host.guestwire("up")
        watch.breaks("ip link set p-b.0 nomaster", "veth p-b.0, master")
        host.guestwire("down")
        assert watch.process.wait(timeout=60) == 0
        assert "p was taken down." in watch.rest()


def test_hands_off_while_a_journal_is_unsettled(host: Sandbox) -> None:
    with watching(host) as watch:
        host.write(FILE.replace("  d: {", "  e: {nics: [lan]}\n  d: {"))
        host.guestwire("up", check=False, env={"GUESTWIRE_FAULT": "kill:3"})
        assert "unsettled" in host.guestwire("status", check=False).stderr
        host.sh("ip link set p-a.0 down")
        host.write(FILE)
        host.guestwire("rollback")
        watch.line("p-a.0, up")
        nothing_left(host)


def test_after_one_that_was_killed_in_a_repair_it_says_what_to_do(host: Sandbox) -> None:
    with watching(host, GUESTWIRE_FAULT="kill:2") as watch:
        host.sh("ip link set p-a.0 down")
        watch.process.wait(timeout=60)
    done = host.guestwire("watch", check=False)
    assert done.returncode == 75
    assert "was broken off" in done.stderr
    assert "`guestwire rollback --project p` settles it" in done.stderr
    host.guestwire("rollback")
    with watching(host) as watch:
        assert "p-a.0, up" in watch.lines[0]


def test_two_projects_are_watched_side_by_side(host: Sandbox) -> None:
    other = host.write("name: q\nnetworks: {n: {type: bridge, subnet: 10.9.0.0/24}}\nguests: {a: {nics: [n]}}\n", "q")
    host.guestwire("up", str(other))
    before = picture(host)
    with watching(host) as one, watching(host, str(other)) as two:
        host.sh("ip link delete p-lan; ip link delete q-n")
        one.line("p-lan was gone")
        two.line("q-n was gone")
        again(one, before)
        assert not [line for line in one.lines if "q-" in line]
        assert not [line for line in two.lines if "p-" in line]


SAME_NUMBERS = """
import subprocess
from guestwire.kinds import Link
from guestwire.linux.kernel import Kernel
from guestwire.observe import Again, observe
with Kernel() as kernel:
    seen = observe(kernel, "", ["a", "b"])
    subprocess.run("ip -n a link delete br0", shell=True, check=True)
    Again(kernel, seen, {}).links({"a": {5: b""}}, {"b": {"port"}})
    print(*(f"{link.netns}:{link.name}:{link.master}" for link in seen.of(Link) if link.name in ("br0", "port")))
"""


def test_a_link_that_goes_is_not_taken_for_one_of_its_name_and_number_elsewhere(sandbox: Sandbox) -> None:
    for netns in "ab":
        sandbox.sh(f"ip netns add {netns}; ip -n {netns} link add br0 index 5 type bridge")
    sandbox.sh("ip -n b link add port type veth peer other; ip -n b link set port master br0")
    assert sorted(sandbox.python(SAME_NUMBERS).stdout.split()) == ["b:br0:", "b:port:br0"]


def test_a_lab_and_another_namespace_as_the_host(sandbox: Sandbox) -> None:
    sandbox.write(FILE)
    sandbox.guestwire("up", "--lab")
    before = picture(sandbox)
    with watching(sandbox) as watch:
        watch.breaks("ip -n p-host link delete p-lan", "bridge p-lan in namespace p-host was gone")
        watch.breaks("ip -n p.switch link delete lan0", "bridge lan0 in namespace p.switch was gone")
        watch.breaks("ip -n p-gateway route flush table main; ip -n p-gateway address flush eth0", "p-gateway")
        watch.breaks("ip netns exec p-gateway nft flush ruleset", "nft inet guestwire in namespace p-gateway")
        watch.breaks("ip netns delete p-internet", "namespace p-internet was gone")
        again(watch, before)
    sandbox.guestwire("down")
    sandbox.sh("ip netns add machine && ip -n machine link set lo up")
    sandbox.guestwire("up", "--netns", "machine")
    before = picture(sandbox)
    with watching(sandbox, "--netns", "machine") as watch:
        watch.breaks("ip -n machine link delete p-lan", "bridge p-lan in namespace machine was gone")
        watch.breaks(
            "ip netns exec machine sysctl -qw net.ipv6.conf.all.forwarding=0", "forwarding in namespace machine"
        )
        again(watch, before)


def test_it_tells_its_starter_and_programs(host: Sandbox) -> None:
    for name in ("notify", "\0guestwire-notify"):
        path = str(host.folder / name) if name[0] != "\0" else name
        with inside(host):
            starter = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        with starter:
            starter.bind(path)
            starter.settimeout(20)
            spoken = path.replace("\0", "@")
            with watching(host, "--json", NOTIFY_SOCKET=spoken, WATCHDOG_USEC="200000") as watch:
                assert starter.recv(1000).decode().startswith("READY=1\nSTATUS=")
                assert [starter.recv(100).decode() for _ in range(3)] == ["WATCHDOG=1"] * 3
                watch.breaks("ip link set p-a.0 down", "veth p-a.0, up")
                assert watch.stop() == 0
                rest = watch.rest()
                while (last := starter.recv(100).decode()) == "WATCHDOG=1":
                    pass
                assert last == "STOPPING=1"
    document = json.loads(rest[rest.index("{") :])
    assert (document["project"], document["ended"], document["count"]) == ("p", "stopped", 1)
    [repair] = document["repairs"]
    assert repair["causes"] == [{"action": "change", "kind": "veth", "name": "p-a.0", "netns": ""}]
    assert 0 < repair["milliseconds"] < 10_000


def test_it_does_not_grow(host: Sandbox) -> None:
    with watching(host) as watch:

        def held() -> int:
            return len(os.listdir(f"/proc/{watch.pid}/fd"))

        watch.breaks("ip netns delete p-a", "namespace p-a was gone")
        before = held()
        for i in range(6):
            host.sh(f"ip netns add s{i}; ip link add s{i} type veth peer eth0 netns s{i}; ip netns delete s{i}")
            watch.breaks(f"ip -n p-{'abd'[i % 3]} link delete eth0", "was gone")
        watch.breaks("kill -9 $(cat /run/guestwire/p/dhcp.lan.pid)", "DHCP server")
        watch.breaks("ip link set p-b.1 down", "p-b.1, up")
        deadline = monotonic() + PATIENCE
        while held() > before and monotonic() < deadline:  # while it reads it holds some more
            pass
        assert held() <= before
        host.sh("ip netns delete p-d; [ $(ls /run/netns | wc -l) -ge 3 ]")
        watch.line("namespace p-d was gone")


def test_a_project_that_is_not_up_is_not_watched(sandbox: Sandbox) -> None:
    sandbox.write(FILE)
    done = sandbox.guestwire("watch", check=False)
    assert (done.returncode, done.stdout) == (64, "")
    assert "project p isn't up. `guestwire up` builds it" in done.stderr
    assert sandbox.guestwire("watch", "-", check=False).returncode == 64


def test_a_first_change_that_is_unsettled_is_told_by_its_name(sandbox: Sandbox) -> None:
    sandbox.write(FILE)
    sandbox.guestwire("up", "--confirm", "60")
    done = sandbox.guestwire("watch", check=False)
    assert (done.returncode, done.stdout) == (75, "")
    assert "project p is waiting for confirm" in done.stderr
    sandbox.guestwire("rollback")
    assert sandbox.guestwire("watch", check=False).returncode == 64
