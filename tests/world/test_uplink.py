"""A host's NIC goes into a bridge and back with all that it has, and who talks over it meanwhile hardly notices."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Callable
from typing import Any

import pytest

from tests.sandbox import Sandbox
from tests.world.faults import Done, Job
from tests.world.furnished import BESIDE, FILE, FURNITURE, NICS, SIMPLE
from tests.world.test_kinds import shown
from tests.world.test_replay import assert_same, replay

MOST = None if os.environ.get("GUESTWIRE_ALL_FAULTS") else 6
STRANGE = ("link/ether", "bridge", "state", "multicast ff00", "alias")
LOST = 2  # of 260 echo requests, one every 10 ms
PAIRS = "192.0.2.10,192.0.2.1 2001:db8:1::10,2001:db8:1::1"
ROUTER = """
ip netns exec out sysctl -qw net.ipv6.conf.all.forwarding=1
mkdir -p /run/server
ip netns exec out dnsmasq --conf-file=/dev/null --pid-file=/run/server/pid --user=root --port=0 --bind-interfaces \\
    --interface=sw0 --enable-ra --dhcp-range=2001:db8:1::,ra-only,64,1h --ra-param=sw0,60,600
"""


def during(sandbox: Sandbox, *verbs: str) -> list[dict[str, Any]]:
    """What is lost while each of the verbs runs, between host and neighbour."""
    commands = [f"{sys.executable} -m guestwire {verb}" for verb in verbs]
    done = sandbox.python("from tests.world.continuity import main; main()", PAIRS, *commands)
    found: list[dict[str, Any]] = json.loads(done.stdout)
    return found


def test_who_talks_over_the_nic_goes_on(sandbox: Sandbox) -> None:
    sandbox.sh(NICS + BESIDE + SIMPLE)
    sandbox.write(FILE)
    before, all_told = sandbox.snapshot(), shown(sandbox)
    for change in during(sandbox, "up", "down"):
        assert change["code"] == 0
        assert all(sent >= 260 for sent in change["sent"].values())
        assert all(lost <= LOST for lost in change["lost"].values()), change
        assert change["streams"] == [True, True]
    assert sandbox.snapshot() == before
    assert shown(sandbox) == all_told


def test_all_that_the_nic_has_goes_and_comes_back(sandbox: Sandbox) -> None:
    sandbox.sh(NICS + BESIDE + FURNITURE)
    sandbox.sh(
        "sysctl -qw net.ipv4.conf.eth0.rp_filter=2 net.ipv6.conf.eth0.accept_ra=0 net.ipv4.conf.eth0.arp_ignore=1"
    )
    sandbox.write(FILE)
    before = shown(sandbox)
    sandbox.guestwire("up")
    there = [line.replace("three-lan", "eth0") for line in shown(sandbox) if "three-a.0" not in line]
    assert [line for line in before if line not in there and not any(word in line for word in STRANGE)] == []
    assert "inet" not in sandbox.sh("ip -o address show dev eth0")
    settings = "net.ipv4.conf.{0}.rp_filter net.ipv6.conf.{0}.accept_ra net.ipv4.conf.{0}.arp_ignore"
    assert sandbox.sh(f"sysctl -n {settings.format('three-lan')}").split() == ["2", "0", "1"]
    assert sandbox.json("status")["drift"] == []
    assert sandbox.json("up")["changes"] == []
    sandbox.guestwire("down")
    assert shown(sandbox) == before


def test_it_follows_the_nic_to_another_bridge_and_back_onto_the_nic(sandbox: Sandbox) -> None:
    sandbox.sh(NICS + BESIDE + FURNITURE)
    before = shown(sandbox)
    macvtap = FILE.replace("type: bridge", "type: macvtap")
    other = FILE.replace("uplink: eth0", "uplink: eth1").replace("192.0.2.77", "203.0.113.77")
    for text, link in (
        (FILE, "three-lan"),
        (FILE.replace("lan", "net"), "three-net"),
        (macvtap, "eth0"),
        (other, "eth0"),
    ):
        sandbox.write(text)
        sandbox.guestwire("up")
        there = [line.replace(link, "eth0") for line in shown(sandbox)]
        lost = [line for line in before if line not in there and not any(word in line for word in STRANGE)]
        assert [line for line in lost if text is not other or "eth1" not in line] == []
        assert sandbox.json("status")["drift"] == []
    sandbox.guestwire("down")
    assert shown(sandbox) == before


def test_nothing_is_lost_with_the_bridge_or_with_the_state(sandbox: Sandbox) -> None:
    sandbox.sh(NICS + BESIDE + FURNITURE)
    before = shown(sandbox)
    sandbox.write(FILE)
    sandbox.guestwire("up")
    sandbox.sh("ip link delete three-lan")
    sandbox.guestwire("up")
    sandbox.sh("rm -r /run/guestwire")
    sandbox.guestwire("up")
    sandbox.guestwire("down")
    assert shown(sandbox) == before


@pytest.mark.parametrize("verb", ["up", "down"])
def test_broken_off_it_is_as_it_was(sandbox: Sandbox, strike: Callable[..., Done], verb: str) -> None:
    sandbox.sh(NICS + BESIDE + FURNITURE)
    path = str(sandbox.write(FILE))
    all_told = shown(sandbox)
    assert strike(Job(verb, False, path, path if verb == "down" else None, MOST)).injections
    assert shown(sandbox) == all_told


def test_a_shell_does_the_same(sandbox: Sandbox, second: Sandbox) -> None:
    for machine in (sandbox, second):
        machine.sh(
            NICS.replace("type veth", "address 02:00:00:00:00:0$i type veth").replace(
                "peer", "peer address 02:00:00:00:01:0$i"
            )
            + BESIDE
            + FURNITURE
        )
    sandbox.write(FILE)
    replay(second, sandbox.guestwire("plan", "--commands").stdout)
    sandbox.guestwire("up")
    assert_same(sandbox, second)


def test_what_has_something_unknown_is_refused_before_the_first_step(sandbox: Sandbox) -> None:
    sandbox.sh(NICS + BESIDE + SIMPLE)
    sandbox.sh("ip nexthop add id 7 via 192.0.2.1 dev eth0; ip route add 10.7.0.0/16 nhid 7")
    sandbox.write(FILE)
    before = sandbox.snapshot()
    (error,) = sandbox.json("up", code=65)["errors"]
    assert "uplink eth0 has route 10.7.0.0/16, which can't go to a bridge" in error["message"]
    assert "RTA 30" in error["message"]
    assert "ip route delete 10.7.0.0/16" in error["hint"]
    assert sandbox.snapshot() == before


def test_what_a_router_advertises_is_no_drift_and_is_not_waited_for(sandbox: Sandbox) -> None:
    sandbox.sh(NICS + BESIDE + SIMPLE.replace("ip -6 route add default via fe80::1 dev eth0", "") + ROUTER)
    told = "ip -6 route show dev eth0 | grep -q 'proto ra' && ip address show dev eth0 | grep -q dynamic"
    sandbox.until(told)
    sandbox.write(FILE)
    into, back = during(sandbox, "up", "down")
    for change in (into, back):
        assert all(lost <= LOST for lost in change["lost"].values()), change
        assert change["streams"] == [True, True]
    sandbox.guestwire("up")
    routes = sandbox.sh("ip -6 route show dev three-lan")
    assert "default via fe80::1 proto ra" in routes
    assert "expires" in routes
    assert "2001:db8:1::/64" not in sandbox.sh("ip -6 route show dev eth0")
    sandbox.sh("ip address change 192.0.2.10/24 dev three-lan valid_lft 900 preferred_lft 900")
    assert sandbox.json("status")["drift"] == []
    sandbox.guestwire("down")
    assert "proto ra" in sandbox.sh("ip -6 route show default dev eth0")
    assert "dynamic" in sandbox.sh("ip -6 address show dev eth0")
    assert re.search("valid_lft (900|8[0-9][0-9])sec", sandbox.sh("ip -4 address show dev eth0"))
