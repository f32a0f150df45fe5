"""What a host lends to a watched project: kept as the project needs it, and its owners' to change, renew, take back."""

from __future__ import annotations

import re

from tests.sandbox import Sandbox
from tests.world.furnished import BESIDE, NICS, SIMPLE
from tests.world.furnished import FILE as BRIDGED
from tests.world.test_uplink import ROUTER
from tests.world.watching import again, nothing_left, picture, watching

UPLINK = """
name: u
networks: {lan: {type: bridge, uplink: up0}, direct: {type: macvtap, uplink: up1}}
guests: {a: {nics: [{network: lan, address: 192.0.2.2/24}]}, b: {nics: [{network: direct, address: 192.0.2.3/24}]}}
"""


def test_what_is_lent_is_kept_and_the_rest_is_its_owners(sandbox: Sandbox) -> None:
    sandbox.sh("for i in 0 1; do ip link add up$i type veth peer far$i; ip link set far$i up; done; ip link set up1 up")
    before = sandbox.snapshot()
    sandbox.write(UPLINK)
    sandbox.guestwire("up")
    up = picture(sandbox)
    with watching(sandbox) as watch:
        watch.breaks("ip link set up0 nomaster", "up0, master")
        watch.breaks("ip link set up0 down", "up0, up")
        watch.breaks("ip link set up1 down", "up1, up")
        again(watch, up)
        sandbox.sh("ip link set up0 mtu 1400; ip link set up1 alias mine; ip link set far0 down; ip link set far0 up")
        watch.breaks("ip link delete u-lan", "u-lan was gone")
        assert "mtu 1400" in sandbox.sh("ip link show up0")
        sandbox.sh("ip link set up0 mtu 1500; ip link set up1 alias ''")
        again(watch, up)
        watch.breaks("ip link delete up1", "up1 is gone, and isn't guestwire's")
        watch.breaks("ip -n u-a link set eth0 down", "veth eth0 in namespace u-a, up")
        sandbox.sh("ip link add up1 type veth peer far1 && ip link set far1 up")
        watch.line("1 macvlan")
        nothing_left(sandbox)
    sandbox.guestwire("down")
    after = sandbox.snapshot()
    assert {k: v for k, v in after.items() if k[:5] not in ("links", "flags")} == {
        k: v for k, v in before.items() if k[:5] not in ("links", "flags")
    }


TAKEN_BACK = """
ping -q -c 1 192.0.2.1
kill $(cat /run/server/pid)
ip neigh flush dev three-lan
ip -6 route delete default proto ra dev three-lan
ip -6 address flush dev three-lan dynamic
"""
SOON = """
ip address add 192.0.2.50/24 dev eth0 valid_lft 90 preferred_lft 90
ip address add 192.0.2.51/24 dev eth0 valid_lft 90 preferred_lft 90
"""
RENEWED = """
ip address change 192.0.2.50/24 dev three-lan valid_lft 900 preferred_lft 900
ip address change 192.0.2.51/24 dev three-lan valid_lft 1 preferred_lft 1
while ip address show dev three-lan | grep -q 192.0.2.51; do sleep 0.05; done
"""
LATER = r"valid_lft (900|8\d\d|7\d\d)sec"


def test_what_others_lend_a_host_is_theirs_to_take_back_and_to_renew(sandbox: Sandbox) -> None:
    sandbox.sh(NICS + BESIDE + SIMPLE.replace("ip -6 route add default via fe80::1 dev eth0", "") + ROUTER)
    told = "ip -6 route show dev eth0 | grep -q 'proto ra' && ip address show dev eth0 | grep -q dynamic"
    sandbox.until(told)
    sandbox.sh(SOON)
    sandbox.write(BRIDGED)
    sandbox.guestwire("up")
    sandbox.sh("ip link delete three-lan")  # so that the watch moves all of it there itself
    with watching(sandbox) as watch:
        assert "proto ra" in sandbox.sh("ip -6 route show dev three-lan")
        sandbox.sh(TAKEN_BACK + RENEWED)
        line = watch.breaks("ip address delete 2001:db8:1::10/64 dev three-lan", "address 2001:db8:1::10/64 three-lan")
        assert "made 1 address (" in line
        assert watch.lines[-2].endswith("watching three.")
        watch.breaks("ip link delete three-lan", "three-lan was gone")
        assert sandbox.sh("cat /proc/sys/net/ipv6/conf/three-lan/addr_gen_mode") == "1\n"
        assert "1 link-local address" in watch.breaks("ip link set three-lan down", "three-lan, up")
        assert re.search(LATER, sandbox.sh("ip address show dev three-lan to 192.0.2.50"))
        assert "proto ra" not in sandbox.sh("ip -6 route show dev three-lan")
        assert "192.0.2.51" not in sandbox.sh("ip address show dev three-lan")
    sandbox.guestwire("down")
    assert re.search(LATER, sandbox.sh("ip address show dev eth0 to 192.0.2.50"))


def test_the_hosts_own_macvlan_follows_its_uplinks_address(sandbox: Sandbox) -> None:
    sandbox.sh(
        "ip link add eth0 type veth peer far0; ip link set far0 up; ip link set eth0 up\n"
        "ip address add 192.0.2.10/24 dev eth0"
    )
    sandbox.write(
        "name: p\nnetworks: {lan: {type: macvtap, uplink: eth0, host-access: true}}\n"
        "guests: {a: {nics: [{network: lan, address: 192.0.2.20/24}]}}\n"
    )
    sandbox.guestwire("up")
    with watching(sandbox) as watch:
        readdressed = "ip address delete 192.0.2.10/24 dev eth0; ip address add 192.0.2.11/24 dev eth0"
        watch.breaks(readdressed, "address 192.0.2.11/32 p-lan.h was gone")
        sandbox.sh("ping -c1 -W5 192.0.2.20")
        assert sandbox.json("status")["drift"] == []
    sandbox.sh("ip address add 192.0.2.12/24 dev eth0")
    (drift,) = sandbox.json("status")["drift"]
    assert (drift["action"], drift["name"]) == ("create", "192.0.2.12/32 p-lan.h")
    sandbox.guestwire("down")
