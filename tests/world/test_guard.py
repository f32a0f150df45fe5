"""Nobody is locked out: what the host reached before a change it reaches after, or all is as before."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

from tests.sandbox import Sandbox
from tests.world import uplink
from tests.world.test_confirm import ended, same
from tests.world.uplink import SSH, Login

# The host's own traffic on a passthru parent dies: the guest has its MAC.
BAD = """
name: p
networks: {direct: {type: macvtap, uplink: eth0, mode: passthru}}
guests: {g: {nics: [{network: direct, address: 192.0.2.77/24}]}}
"""
GOOD = BAD.replace("passthru", "bridge")
IGNORE = "sysctl -q -w net.ipv4.icmp_echo_ignore_all=1 net.ipv6.icmp.echo_ignore_all=1"
DNS = """
import select, socket, sys
sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sock.bind(("203.0.113.5", 53))
print("ready", flush=True)
while sys.stdin not in select.select([sock, sys.stdin], [], [])[0]:
    data, sender = sock.recvfrom(512)
    sock.sendto(data[:2] + b"\\x81\\x05" + data[4:], sender)
"""
DROP = "add table ip t; add chain ip t out { type filter hook output priority 0; policy drop; }"
MEASURED = """
import json, subprocess, sys
from guestwire import reach
from guestwire.linux.kernel import Kernel
with Kernel() as kernel:
    guard = reach.Guard(kernel, "", reach.contacts(kernel, "", ["203.0.113.5"]))
    guard.before()
    subprocess.run(sys.argv[1], shell=True, check=True)
    print(json.dumps([each.to_json() for each in guard.after(float(sys.argv[2]))]))
"""


def told(document: dict[str, Any]) -> dict[tuple[str, str], tuple[str, bool | None]]:
    """Who was guarded: by role and address the means and whether it answers."""
    return {(each["what"], each["address"]): (each["means"], each["after"]) for each in document["guard"]}


def test_a_right_change_stays(sandbox: Sandbox) -> None:
    uplink.begin(sandbox)
    sandbox.write(GOOD)
    with Login(sandbox) as login:
        done = sandbox.guestwire("up", "--json", env=SSH)
        assert told(json.loads(done.stdout)) == {
            ("gateway", "192.0.2.1"): ("ping", True),
            ("gateway", "2001:db8:1::1"): ("ping", True),
            ("ssh client", "203.0.113.5"): ("ping", True),
        }
        again = json.loads(sandbox.guestwire("up", "--json", env=SSH).stdout)
        assert (again["changes"], again["guard"]) == ([], [])
        assert json.loads(sandbox.guestwire("down", "--json", env=SSH).stdout)["guard"]
        assert login.ends() < 5  # the time of a guard, which a wrong change takes at least


def test_a_wrong_one_goes_back_by_itself(sandbox: Sandbox) -> None:
    uplink.begin(sandbox)
    before = sandbox.snapshot()
    sandbox.write(BAD)
    with Login(sandbox) as login:
        done = sandbox.guestwire("up", check=False, env=SSH)
        assert done.returncode == 1
        assert login.ends() < 30  # TCP asks again after .2, .4 … 6.4, 12.8 s
    *lines, last = done.stderr.splitlines()
    assert [line.split(" answered before the change and doesn't since (ping: ")[0] for line in lines] == [
        "guestwire: gateway 192.0.2.1",
        "guestwire: gateway 2001:db8:1::1",
        "guestwire: ssh client 203.0.113.5",
    ]
    assert last == "All was undone. `--no-guard` makes the change all the same."
    same(sandbox.snapshot(), before)
    document = sandbox.json("up", code=1)
    assert {after for _, after in told(document).values()} == {False}
    assert document["error"]["code"] == 1


def test_killed_midway_with_its_group_the_host_comes_back(sandbox: Sandbox) -> None:
    """The change that cuts us off, and whoever makes it, die with the connection."""
    uplink.begin(sandbox)
    sandbox.write(BAD)
    with Login(sandbox) as login:
        up = f"{sys.executable} -m guestwire up --confirm 600; kill -KILL 0"
        sandbox.run("setsid", "-w", "sh", "-c", up, check=False, env={**SSH, "GUESTWIRE_FAULT": "kill:3"})
        for pid in sandbox.run("pgrep", "-f", "api.timer", check=False).stdout.split():
            ended(sandbox, int(pid))
        assert login.ends() < 30
    assert sandbox.json("list")["projects"] == []


def test_without_a_guard_the_time_runs_out(sandbox: Sandbox) -> None:
    uplink.begin(sandbox)
    sandbox.write(BAD)
    with Login(sandbox) as login:
        done = sandbox.guestwire("up", "--json", "--no-guard", "--confirm", "1", env=SSH)
        document = json.loads(done.stdout)
        assert document["guard"] == []
        ended(sandbox, document["confirm"]["pid"])
        assert login.ends() > 0.5
    assert sandbox.json("list")["projects"] == []


def test_who_answers_no_ping_is_asked_for_its_mac(sandbox: Sandbox) -> None:
    uplink.begin(sandbox)
    sandbox.sh(f"ip netns exec out {IGNORE}")
    sandbox.write(GOOD)
    good = json.loads(sandbox.guestwire("up", "--json", env=SSH).stdout)
    assert told(good) == {
        ("gateway", "192.0.2.1"): ("neighbour", True),
        ("gateway", "2001:db8:1::1"): ("neighbour", True),
        ("ssh client", "203.0.113.5"): ("neighbour", True),
    }
    sandbox.guestwire("down")
    sandbox.write(BAD)
    done = sandbox.guestwire("up", check=False, env=SSH)
    assert done.returncode == 1
    assert done.stderr.count("(neighbour: no answer within 5 s)") == 3


@pytest.mark.parametrize(
    ("change", "lost"),
    [
        ("true", set()),
        ("ip route replace blackhole 203.0.113.5", {"DNS server"}),
        ("ip -6 address flush dev eth0", {"gateway"}),
        (
            "nft 'add table ip t; add chain ip t out { type filter hook output priority 0; policy drop; }'",
            {"gateway", "DNS server"},
        ),
        ("ip link set eth0 down", {"gateway", "DNS server"}),
    ],
)
def test_what_is_lost_is_seen(change: str, lost: set[str], sandbox: Sandbox) -> None:
    uplink.begin(sandbox)
    words = sandbox.inside("ip", "netns", "exec", "out", sys.executable, "-c", DNS)
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout
        assert server.stdout.readline() == "ready\n"
        found = json.loads(sandbox.python(MEASURED, change, "1").stdout)
        server.communicate()
    assert {each["what"] for each in found} == {"gateway", "DNS server"}
    assert {each["what"] for each in found if not each["after"]} == lost


def test_a_link_local_gateway_is_sought_where_the_route_is(sandbox: Sandbox) -> None:
    """An IPv6 router is known by its link-local address, which goes with the route to another link."""
    uplink.begin(sandbox)
    sandbox.sh("ip -n out address add fe80::1/64 dev far nodad; ip -6 route replace default via fe80::1 dev eth0")
    move = (
        "ip link add br0 type bridge; ip link set br0 up; ip link set eth0 master br0; "
        "ip address flush dev eth0; ip address add 192.0.2.10/24 dev br0; ip route add default via 192.0.2.1; "
        "ip -6 address add 2001:db8:1::10/64 dev br0 nodad; ip -6 route replace default via fe80::1 dev br0"
    )
    found = json.loads(sandbox.python(MEASURED, move, "5").stdout)
    assert {(each["address"], each["after"]) for each in found} == {("192.0.2.1", True), ("fe80::1", True)}


def test_sudo_hides_no_ssh_connection(sandbox: Sandbox) -> None:
    uplink.begin(sandbox)
    sandbox.write(GOOD)
    script = f"env -u SSH_CONNECTION {sys.executable} -m guestwire up --json; true"
    done = sandbox.run("sh", "-c", script, env=SSH)
    assert ("ssh client", "203.0.113.5") in told(json.loads(done.stdout))


def test_a_lab_has_nothing_to_lose_at_first_and_then_is_guarded(sandbox: Sandbox) -> None:
    def written(kind: str) -> None:
        sandbox.write(f"name: p\nnetworks: {{lan: {{{kind}, uplink: eth0}}}}\nguests: {{a: {{nics: [lan]}}}}\n")

    written("type: macvtap")
    assert sandbox.json("up", "--lab")["guard"] == []
    for kind in ("bridge", "macvtap"):  # the host's addresses move to the bridge, and back
        written(f"type: {kind}")
        assert told(sandbox.json("up")) == {
            ("gateway", "192.0.2.1"): ("ping", True),
            ("gateway", "2001:db8:1::1"): ("ping", True),
        }
    written("type: macvtap, mode: passthru")
    document = sandbox.json("up", code=1)
    assert {after for _, after in told(document).values()} == {False}
    assert sandbox.json("status")["networks"][0]["type"] == "macvtap"
    assert "mode bridge" in sandbox.sh("ip -d -n p-a link show eth0")


def test_what_happens_inside_guests_isnt_guarded(sandbox: Sandbox) -> None:
    uplink.begin(sandbox)
    text = "name: p\nnetworks: {net: {type: bridge, subnet: 10.77.0.0/24}}\nguests: {a: {nics: [net]%s}}\n"
    sandbox.write(text % "")
    assert sandbox.json("up")["guard"]
    sandbox.write(text % ", dns: [10.77.0.1]")
    document = sandbox.json("up")
    assert document["changes"]
    assert document["guard"] == []


def test_down_is_guarded_too(sandbox: Sandbox) -> None:
    """A guest is the host's own router."""
    sandbox.write("name: p\nnetworks: {net: {type: bridge, subnet: 10.77.0.0/24}}\nguests: {router: {nics: [net]}}\n")
    sandbox.guestwire("up")
    sandbox.sh("ip route add default via 10.77.0.2")
    before = sandbox.snapshot()
    done = sandbox.guestwire("down", check=False)
    assert done.returncode == 1
    assert "gateway 10.77.0.2 answered before the change and doesn't since" in done.stderr
    same(sandbox.snapshot(), before)
    assert sandbox.guestwire("down", "--no-guard").returncode == 0
    assert sandbox.sh("ls /run/netns").split() == []


@pytest.mark.parametrize("file", [GOOD, GOOD.replace("macvtap", "bridge").replace(", mode: bridge", "")])
def test_a_nic_that_was_down_isnt_set_down_under_who_uses_it_by_now(sandbox: Sandbox, file: str) -> None:
    uplink.begin(sandbox)
    sandbox.sh("ip route flush default; ip -6 route flush default; ip address flush dev eth0 scope global")
    sandbox.sh("ip link set eth0 down")
    sandbox.write(file)
    sandbox.guestwire("up")
    used = "eth0" if "macvtap" in file else "p-direct"
    sandbox.sh(f"ip address add 192.0.2.10/24 dev {used}; ip route add default via 192.0.2.1")
    before = sandbox.snapshot()
    done = sandbox.guestwire("down", check=False)
    assert done.returncode == 1
    assert "gateway 192.0.2.1 answered before the change and doesn't since" in done.stderr
    assert "eth0" in done.stderr
    same(sandbox.snapshot(), before)
    sandbox.guestwire("down", "--no-guard")
    assert "state DOWN" in sandbox.sh("ip link show eth0")
