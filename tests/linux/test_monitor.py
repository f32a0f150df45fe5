"""One socket hears of many namespaces, says which of them it was, and tells when it could not keep up."""

from __future__ import annotations

import json

from tests.sandbox import Sandbox

SCRIPT = """
import errno, json, os, select, socket, struct, subprocess, sys
from guestwire.linux import namespaces
from guestwire.linux.monitor import IFLA_WIRELESS, Monitor, _route_event
from guestwire.linux.netlink import attribute
from guestwire.linux.rtnetlink import IFLA_IFNAME, parse_link

def sh(line):
    subprocess.run(line, shell=True, check=True)

sh("ip netns add a; ip netns add b; ip link add v0 type veth peer v1 netns a")
monitor = Monitor()
for name in ("a", "b"):
    fd = namespaces.open_namespace(name)
    monitor.learn(name, fd)
    monitor.learn(name, fd)
    os.close(fd)
found = {}

def heard(label):
    found[label] = sorted({
        (e.netns, e.what, parse_link(e.body).name if e.what in ("link", "down") else e.body.decode("latin-1")
         if e.what == "table" else "") for e in monitor.events()
    })

sh("ip -n a link set v1 up")
heard("link")
sh("ip -n b addr add 10.0.0.1/8 dev lo && ip -n b route add 10.1.0.0/16 via 10.0.0.2 2>/dev/null || true")
heard("address")
sh("ip netns exec b sysctl -qw net.ipv4.conf.lo.forwarding=1")
heard("netconf")
sh("ip netns exec a nft add table inet t; nft add table ip u")
heard("table")
sh("ip link add name br0 type bridge; ip link set v0 master br0; bridge fdb add 02:00:00:00:00:01 dev v0 master static")
assert "neighbour" in {e.what for e in monitor.events()}
sh("bridge link set dev v0 hairpin on")
heard("port")
sh("ip link delete v0")
heard("gone")
sh("ip netns delete b")
assert not namespaces.exists("b")
monitor.forget("b")
sh("ip netns add b; ip -n b link set lo up")
heard("stranger")
with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW) as other:  # as root in a namespace may
    name = attribute(IFLA_IFNAME, b"br0\\0")
    for body in (name, name + attribute(IFLA_WIRELESS, bytes(8))):
        other.sendto(struct.pack("=IHHIIBxHiII", 32 + len(body), 16, 0, 0, 0, 0, 1, 9, 0, 0) + body, (0, 1))
        found.setdefault("forged", []).extend(monitor.events())
    scanned = struct.pack("=BxHiII", 0, 1, 9, 0, 0) + body
    found["scanned"] = [_route_event("", 16, scanned), _route_event("", 17, scanned).what]
for sock in monitor._sockets:
    sock.setsockopt(1, 8, 2048)  # SO_RCVBUF
sh("for i in $(seq 60); do ip link set br0 up; ip link set br0 down; done")
try:
    monitor.events()
    found["lost"] = False
except OSError as error:
    found["lost"] = error.errno == errno.ENOBUFS
fd = namespaces.open_namespace("a")
monitor.learn("a", fd)
for sock in monitor._sockets:
    sock.setsockopt(1, 8, 1 << 20)
sh("ip -n a link set lo up")
heard("again")
monitor.close()
print(json.dumps(found))
"""


def test_it_hears_of_each_namespace_that_it_was_told_of(sandbox: Sandbox) -> None:
    found = json.loads(sandbox.python(SCRIPT).stdout)
    assert ["a", "link", "v1"] in found["link"]
    assert {tuple(each[:2]) for each in found["address"]} == {("b", "address")}
    assert found["netconf"] == [["b", "netconf", ""]]
    assert found["table"] == [["", "table", "ip u"], ["a", "table", "inet t"]]
    assert ["", "port", ""] in found["port"]
    assert {("", "gone"), ("a", "gone")} <= {tuple(each[:2]) for each in found["gone"]}
    assert found["stranger"] == []
    assert (found["forged"], found["scanned"]) == ([], [None, "gone"])
    assert found["lost"] is True
    assert ["a", "link", "lo"] in found["again"]
