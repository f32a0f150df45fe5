"""`try`: what `up` would do is seen on a copy of the host, which itself keeps still, and has nothing left over."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest

from tests.sandbox import Sandbox
from tests.world.furnished import FURNITURE, NICS

HOST = """
ip netns add out
ip link add eth0 address 52:54:00:00:00:10 type veth peer name sw0 address 52:54:00:00:00:01 netns out
ip link set eth0 up; ip -n out link set sw0 up; ip -n out link set lo up
ip -n out address add 192.168.7.1/24 dev sw0; ip -n out address add fd00:7::1/64 dev sw0 nodad
ip -n out address add 192.168.7.20/24 dev sw0; ip -n out address add 9.9.9.9/32 dev lo
ip address add 192.168.7.2/24 dev eth0; ip address add fd00:7::2/64 dev eth0 nodad
ip route add default via 192.168.7.1; ip -6 route add default via fd00:7::1
ip netns add box
ip link add docker0 address 52:54:00:00:00:17 type bridge
ip link add boxed master docker0 type veth peer name eth0 netns box
ip link set docker0 up; ip link set boxed up; ip -n box link set eth0 up
ip address add 172.17.0.1/16 dev docker0; ip -n box address add 172.17.0.2/16 dev eth0
sysctl -qw net.ipv4.ip_forward=1
ageless='for family in ipv4 ipv6; do for setting in base_reachable_time_ms=3600000 delay_first_probe_time=3600; do
  sysctl -qw net.$family.neigh.$0.$setting
done; done'
sh -euc "$ageless" eth0; sh -euc "$ageless" docker0
ip netns exec out sh -euc "$ageless" sw0; ip netns exec box sh -euc "$ageless" eth0
nft -f - <<X
table ip nat {
  chain post {
    type nat hook postrouting priority srcnat
    ip saddr 172.17.0.0/16 oifname != "docker0" counter masquerade
  }
}
table inet filter {
  set bad { type ipv4_addr; elements = { 192.0.2.66 }; }
  chain f { type filter hook forward priority 0; ip saddr @bad drop; }
}
X
for address in 192.168.7.1 192.168.7.20 172.17.0.2 fd00:7::1; do until ping -qc1 -W2 $address; do :; done; done
while ip -6 address show tentative | grep -q .; do sleep 0.02; done
"""
RIGHT = """\
name: shop
networks:
  private: {type: bridge, subnet: 10.77.0.0/24, nat: true}
  direct: {type: macvtap, uplink: eth0}
guests:
  web: {nics: [private]}
  db: {nics: [{network: direct, address: 192.168.7.50}]}
expect:
  - web reaches gateway
  - db reaches gateway
"""
HOLD = """\
import os, sys
from fcntl import ioctl
fd = os.open("/dev/net/tun", os.O_RDWR)
ioctl(fd, 0x400454CA, b"tap7".ljust(16, b"\\0") + b"\\x02\\x10" + bytes(22))  # TUNSETIFF, IFF_TAP | IFF_NO_PI
print("there", flush=True)
sys.stdin.read()
"""
SERVE = "import socket, sys; s = socket.create_server(('', 8080)); print('there', flush=True); sys.stdin.read()"
ONLY = """\
name: shop
networks:
  private: {type: bridge, subnet: 10.77.0.0/24, nat: true}
guests:
  web: {nics: [private]}
"""
BRIDGED = """
ip netns add out
ip link add eth0 type veth peer name sw0 address 52:54:00:00:00:01 netns out
ip link add br0 address 52:54:00:00:00:10 type bridge
ip link set eth0 master br0 up; ip link set br0 up; ip -n out link set sw0 up
ip -n out address add 192.168.7.1/24 dev sw0; ip -n out address add 2001:db8:7::1/64 dev sw0 nodad
ip -n out address add fe80::1/64 dev sw0 nodad; ip -n out address add 10.64.0.1/32 dev sw0
ip address add 192.168.7.2/24 dev br0; ip address add 2001:db8:7::2/64 dev br0 nodad
ip route add default via 192.168.7.1; ip -6 route add default via fe80::1 dev br0
ip route add 10.65.0.0/16 via 10.64.0.1 dev br0 onlink
ip link add own type veth peer name plugged; ip link set own master br0 up; ip link set plugged up
ip address add 10.255.0.9/32 dev lo
while ip -6 address show tentative | grep -q .; do sleep 0.02; done
for address in 192.168.7.1 2001:db8:7::1; do until ping -qc1 -W2 $address; do :; done; done
"""
LAN = """\
name: shop
networks:
  lan: {type: bridge, uplink: br0}
guests:
  db: {nics: [{network: lan, address: [192.168.7.50, "2001:db8:7::50"]}]}
expect:
  - db reaches gateway
  - db reaches host
"""
LOOPBACK = """from guestwire.linux.kernel import Kernel
from guestwire.observe import observe
from guestwire.observe.whole import read_whole
with Kernel() as kernel:
    print(*(address.interface for address in read_whole(kernel, "", observe(kernel, "")).loopback))
"""
MUTE = RIGHT.replace("uplink: eth0", "uplink: eth0, mode: passthru").replace(
    "db reaches gateway", "host reaches gateway"
)


def test_the_host_keeps_still(sandbox: Sandbox) -> None:
    """Nothing is heard on its netlink or in its files, and it is as it was; what `up` does then is what was shown."""
    sandbox.sh(HOST)
    sandbox.write(RIGHT)
    before = sandbox.snapshot()
    done = _heard(sandbox, "try")
    assert sandbox.snapshot() == before
    assert (done["heard"], done["said"]) == ([], "")
    told = json.loads(done["printed"])
    assert (done["code"], told["held"], told["refused"]) == (0, True, [])
    assert told["plan"]["changes"] == sandbox.json("plan")["changes"]
    assert all(each["held"] for each in told["check"]["expectations"])
    assert any(each["measured"] for each in told["check"]["pairs"])
    lans = {"the LAN behind boxed", "the LAN behind eth0"}
    assert lans == {what for what in _missing(told) if "conntrack" not in what}
    done = _heard(sandbox, "up")
    assert done["heard"] != []
    assert json.loads(done["printed"])["changes"] == told["plan"]["changes"]


def test_a_nic_that_is_in_a_bridge(sandbox: Sandbox) -> None:
    """Who is behind which port is known by the bridge. What is measured on the host then is what was on its copy."""
    sandbox.sh(BRIDGED)
    sandbox.write(LAN)
    told = sandbox.json("try")
    assert told["held"]
    assert _missing(told) == {"the LAN behind eth0"}
    assert sandbox.python(LOOPBACK).stdout.split() == ["10.255.0.9/32"]
    assert sandbox.json("up")["changes"] == told["plan"]["changes"]
    measured = sandbox.json("check")
    assert measured == told["check"]
    assert {(each["family"], each["measured"]) for each in measured["pairs"]} >= {(4, True), (6, True)}


def test_a_file_that_would_cut_the_host_off(sandbox: Sandbox) -> None:
    """A guest in passthru takes the NIC from the host."""
    sandbox.sh(HOST)
    sandbox.write(MUTE)
    before = sandbox.snapshot()
    assert not sandbox.json("try", code=1)["held"]
    assert sandbox.snapshot() == before


def test_a_host_with_everything(sandbox: Sandbox) -> None:
    """Addresses, routes, rules and neighbours of every sort are in the copy as they are: what isn't would be told."""
    sandbox.sh(NICS + FURNITURE)
    sandbox.write(ONLY)
    told = sandbox.json("try")
    # Of this rule the kernel says more than there is a word for in the kind: it is told, not copied half.
    ports = {what for what in _missing(told) if what.startswith("rule") and "sport" in what}
    assert _missing(told) - ports == {"the LAN behind eth0", "the LAN behind eth1"}


def test_what_is_not_copied_is_told(sandbox: Sandbox) -> None:
    odd = {"nftables": [{"add": {"table": {"family": "inet", "name": "odd"}}}]}
    odd["nftables"].append({"add": {"chain": {"family": "inet", "table": "odd", "name": "accept"}}})
    sandbox.sh(HOST)
    sandbox.sh(
        "ip link add vx0 type vxlan id 5 dstport 4789 dev eth0; ip link set vx0 master docker0 up\n"
        "ip link add ifb0 type ifb; tc qdisc add dev eth0 root tbf rate 100mbit burst 32k latency 50ms\n"
        "ip link add br7 type bridge stp_state 1 mcast_snooping 0; ip link set br7 up\n"
        "ip tuntap add dev tap7 mode tap; ip link set tap7 up"
    )
    sandbox.run("nft", "-j", "-f", "-", text=json.dumps(odd))
    sandbox.write(ONLY)
    with _running(sandbox, HOLD):
        told = sandbox.json("try")
    missing = {each["what"]: each["means"] for each in told["missing"]}
    assert missing.keys() >= {"vxlan vx0", "ifb ifb0", "qdisc tbf of eth0", "nft inet odd", "what is behind tap tap7"}
    assert missing.keys() >= {"STP of bridge br7", "multicast snooping off on bridge br7"}
    assert "syntax error" in missing["nft inet odd"]
    assert "python" in missing["what is behind tap tap7"]


def test_open_ports_are_open(sandbox: Sandbox) -> None:
    """What the host serves over TCP is served in its copy, as far as a connection goes."""
    sandbox.sh(HOST)
    sandbox.write(ONLY + "expect:\n  - web reaches host on tcp/8080\n  - web does not reach host on tcp/8081\n")
    with _running(sandbox, SERVE):
        assert sandbox.json("try")["held"]


def test_name_servers_answer(sandbox: Sandbox) -> None:
    """Any answer will do, from the address that was asked."""
    sandbox.sh(HOST)
    script = """\
from guestwire.api.players import play
from guestwire.linux.kernel import Kernel
import socket
with Kernel() as kernel:
    play(kernel, "", [], [("out", "9.9.9.9"), (None, "192.0.2.53"), ("out", "192.0.2.54")])
asking = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
asking.settimeout(5)
asking.connect(("9.9.9.9", 53))
asking.send(bytes.fromhex("abcd 0100 0001 0000 0000 0000 00 0002 0001"))
print(asking.recv(100).hex())
"""
    assert sandbox.python(script).stdout == "abcd81850001000000000000" + "0000020001\n"


def test_a_change_of_what_is_up(sandbox: Sandbox) -> None:
    """The project is copied with its guests, so only the difference is rehearsed; another beside it is left alone."""
    sandbox.sh(HOST)
    sandbox.write(ONLY.replace("shop", "other").replace("10.77", "10.78"), "other.yaml")
    sandbox.guestwire("up", "other.yaml")
    first = ONLY.replace("nat: true", "nat: true, dhcp: true") + "  old: {nics: [{network: private, device: tap}]}\n"
    sandbox.write(first)
    sandbox.guestwire("up")
    sandbox.write(first + "  two: {nics: [private]}\n")
    before = sandbox.snapshot()
    told = sandbox.json("try")
    assert sandbox.snapshot() == before
    assert told["plan"]["changes"] == sandbox.json("plan")["changes"]
    assert {each["netns"] for each in told["plan"]["changes"] if each["kind"] == "veth"} == {"", "shop-two"}
    reached = {(each["from"], each["to"]) for each in told["check"]["pairs"] if each["measured"]}
    assert reached >= {("two", "web"), ("two", "old"), ("old", "web")}
    assert all(what.startswith("the LAN") for what in _missing(told) if "conntrack" not in what and "UDP" not in what)


def test_a_file_that_is_wrong_for_this_host(sandbox: Sandbox) -> None:
    sandbox.sh(HOST)
    sandbox.write(RIGHT.replace("uplink: eth0", "uplink: eth9"))
    before = sandbox.snapshot()
    there, here = (sandbox.guestwire(verb, check=False) for verb in ("up", "try"))
    assert (here.returncode, here.stderr) == (there.returncode, there.stderr)
    assert here.returncode == 65
    assert sandbox.snapshot() == before


def test_a_lab_is_no_host(sandbox: Sandbox) -> None:
    sandbox.write(ONLY)
    sandbox.guestwire("up", "--lab")
    done = sandbox.guestwire("try", check=False)
    assert (done.returncode, "is up in a lab" in done.stderr) == (65, True)


def test_another_namespace_as_the_host(sandbox: Sandbox) -> None:
    sandbox.sh("ip netns add h")
    sandbox.write(ONLY + "expect: [web reaches host]\n")
    before = sandbox.snapshot()
    told = sandbox.json("try", "--netns", "h")
    assert told["held"]
    assert {each["netns"] for each in told["plan"]["changes"] if each["kind"] == "bridge"} == {"h"}
    assert sandbox.snapshot() == before


def test_a_file_from_standard_input(sandbox: Sandbox) -> None:
    done = sandbox.run(sys.executable, "-m", "guestwire", "try", "-", text=ONLY)
    assert "+ bridge shop-private" in done.stdout


def test_an_ordinary_user(sandbox: Sandbox) -> None:
    """In a user namespace; what may not be read is told. The file lies in /run, which is another in the copy."""
    sandbox.write(ONLY + "expect: [web reaches gateway]\n")
    sandbox.sh(f"{HOST}mkdir -m 755 /run/files; cp guestwire.yaml /run/files; chmod 644 /run/files/guestwire.yaml")
    before = sandbox.snapshot()
    user = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", sys.executable)
    done = sandbox.run(*user, "-m", "guestwire", "try", "/run/files/guestwire.yaml", "--json", check=False)
    assert sandbox.snapshot() == before
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["held"]
    assert "nftables" in _missing(told)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_ended_in_the_midst_of_it(number: signal.Signals, sandbox: Sandbox) -> None:
    sandbox.sh(HOST)
    sandbox.write(f"{RIGHT}  - web does not reach db\n")  # silence takes it seconds to be sure of
    before = sandbox.snapshot()
    done = json.loads(sandbox.python("from tests.world.breaking import main; main()", str(int(number))).stdout)
    assert done == {"code": -9 if number == signal.SIGKILL else 130, "there": done["there"], "left": []}
    assert done["there"] > 0
    assert sandbox.snapshot() == before


def test_two_at_once(sandbox: Sandbox) -> None:
    sandbox.sh(HOST)
    sandbox.write(ONLY + "expect: [web reaches gateway]\n")
    before = sandbox.snapshot()
    with ThreadPoolExecutor() as pool:
        first, second = pool.map(lambda _: sandbox.json("try"), range(2))
    assert first == second
    assert first["held"]
    assert sandbox.snapshot() == before


def _heard(sandbox: Sandbox, verb: str) -> dict[str, Any]:
    """What a verb printed, and what was heard on the host's netlink meanwhile."""
    done = sandbox.python("from tests.world.silence import main; main()", verb, "--json")
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def _missing(told: dict[str, Any]) -> set[str]:
    return {each["what"] for each in told["missing"]}


@contextmanager
def _running(sandbox: Sandbox, script: str) -> Iterator[None]:
    """A Python script that says that it is there, and goes on until its input ends."""
    command = sandbox.inside(sys.executable, "-c", script)
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as running:
        assert running.stdin
        assert running.stdout
        assert running.stdout.readline() == b"there\n"
        yield
        running.stdin.close()
