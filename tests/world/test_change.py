"""`up` on a changed file changes only what differs: others lose no packet and keep their links and addresses."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.sandbox import Sandbox
from tests.world.files import CHANGED, THREE, UPLINKS

CHANGES = 100
ALWAYS = """
name: many
networks:
  net: {{type: bridge, subnet: [10.77.0.0/22, "fd00:77::/64"], nat: {nat}}}
  mac: {{type: macvtap, uplink: eth1, subnet: 10.78.0.0/22}}
  side: {{type: routed, subnet: 10.79.0.0/24}}
guests:
  first: {{nics: [net, mac]}}
  {before}
  still: {{count: 8, nics: [net, mac]}}
  {after}
"""
STATES = [
    ALWAYS.format(nat="false", before="", after="old: {count: 4, nics: [net, mac]}"),
    ALWAYS.format(nat="true", before="new: {nics: [mac, net, side]}", after=""),
    ALWAYS.format(nat="true", before="", after="old: {count: 2, nics: [{network: net, device: tap}, side]}"),
    ALWAYS.format(nat="false", before="", after="vm: {kind: process, nics: [net]}"),
]
"""What a project goes through round by round: nobody called “still” is touched by it."""
LISTEN = """
import json, select
from guestwire import api
from guestwire.linux.netlink import Socket
from guestwire.linux.kernel import Kernel
from guestwire.linux import namespaces
GROUPS = 0x1 | 0x10 | 0x40 | 0x100 | 0x400  # links, addresses and routes of both families
QUIET = 1.2
OWN = bytes.fromhex("fe80000000000000")  # the kernel's own doing, a second after a link came up
with Kernel() as kernel:
    ears = []
    for name in ["", *namespaces.names()]:
        with kernel.inside(name):
            ears.append(Socket(groups=GROUPS))
            ears[-1]._socket.setblocking(False)
    for _ in range(3):  # what up writes it writes each time, what the kernel is late with comes once
        while quick := select.select(ears, [], [], QUIET)[0]:
            for ear in quick:
                ear.events()
        made = api.up()
        heard = []
        for ear in ears:
            try:
                heard += [(kind, body.hex()) for kind, body in ear.events() if OWN not in body]
            except BlockingIOError:
                pass
        if not heard:
            break
print(json.dumps({"changes": len(made.plan.steps), "heard": heard, "ears": len(ears)}))
"""


def links(sandbox: Sandbox) -> dict[tuple[str, str], int]:
    """The index of every link, by namespace and name."""
    found: dict[tuple[str, str], int] = {}
    for netns in ["", *sandbox.sh("ls /run/netns").split()]:
        text = sandbox.run("ip", *(["-n", netns] if netns else []), "-j", "link").stdout
        found |= {(netns, link["ifname"]): link["ifindex"] for link in json.loads(text)}
    return found


def addresses(sandbox: Sandbox, file: str | None = None) -> dict[str, list[str]]:
    """The addresses of every guest's first NIC, by the guest's name."""
    status = sandbox.json("status", *([file] if file else []))
    return {guest["name"]: guest["nics"][0]["addresses"] for guest in status["guests"]}


def kept(before: dict[Any, Any], after: dict[Any, Any]) -> dict[Any, Any]:
    """What is in both, as it is after."""
    return {key: value for key, value in after.items() if key in before}


@pytest.mark.timeout(300)  # 70 s on a machine with three times the work that it has processors for
def test_untouched_guests_lose_no_packet_during_a_hundred_changes(sandbox: Sandbox) -> None:
    sandbox.sh(UPLINKS)
    files = [str(sandbox.write(text, f"{number}.yaml")) for number, text in enumerate(STATES)]
    sandbox.guestwire("up", files[-1])
    was, had = links(sandbox), addresses(sandbox, files[-1])
    done = sandbox.python("from tests.world.pings import main; main()", "many", str(CHANGES), *files)
    told = json.loads(done.stdout)
    assert len(told["steps"]) == CHANGES
    assert all(told["steps"])
    assert told["flows"] == 8 * 3
    assert told["rounds"] >= CHANGES
    assert told["lost"] == 0, told
    assert links(sandbox) == {**links(sandbox), **{key: was[key] for key in was if "vm" not in str(key)}}
    assert addresses(sandbox, files[-1]) == had


def test_guest_that_is_put_before_others_moves_no_address(sandbox: Sandbox) -> None:
    sandbox.write(
        "name: p\nnetworks: {n: {type: bridge, subnet: 10.1.0.0/24}}\nguests: {a: {nics: [n]}, b: {nics: [n]}}"
    )
    sandbox.guestwire("up")
    had = addresses(sandbox)
    assert had == {"a": ["10.1.0.2/24"], "b": ["10.1.0.3/24"]}
    sandbox.write(
        "name: p\nnetworks: {n: {type: bridge, subnet: 10.1.0.0/24}}\n"
        "guests: {z: {nics: [n]}, b: {nics: [n]}, a: {nics: [n]}, c: {nics: [{network: n, address: 10.1.0.4}]}}"
    )
    sandbox.guestwire("up")
    assert addresses(sandbox) == {**had, "z": ["10.1.0.5/24"], "c": ["10.1.0.4/24"]}


def test_assigned_address_gives_way_to_one_that_the_file_now_gives(sandbox: Sandbox) -> None:
    text = "name: p\nnetworks: {{n: {{type: bridge, subnet: 10.1.0.0/24}}}}\nguests: {{a: {{nics: [n]}}{more}}}"
    sandbox.write(text.format(more=""))
    sandbox.guestwire("up")
    sandbox.write(text.format(more=", b: {nics: [{network: n, address: 10.1.0.2}]}"))
    sandbox.guestwire("up")
    assert addresses(sandbox) == {"a": ["10.1.0.3/24"], "b": ["10.1.0.2/24"]}
    assert sandbox.json("up")["changes"] == []


def test_up_again_writes_nothing(sandbox: Sandbox) -> None:
    sandbox.sh(UPLINKS)
    for text in (THREE, CHANGED):
        sandbox.write(text)
        sandbox.guestwire("up")
        heard = json.loads(sandbox.python(LISTEN).stdout)
        assert heard["changes"] == 0
        assert heard["heard"] == []
        assert heard["ears"] > 4


def test_up_again_in_a_lab_writes_nothing(sandbox: Sandbox) -> None:
    sandbox.write(THREE)
    sandbox.guestwire("up", "--lab")
    assert json.loads(sandbox.python(LISTEN).stdout)["heard"] == []


SIZED = """
name: p
networks:
  net: {{type: {net}}}
  side: {{type: bridge, uplink: eth1{side}}}
  alone: {{type: bridge, {alone}}}
guests:
  web: {{nics: [net]}}
{more}
"""
FOUR, SIX = "192.0.2.200", "2001:db8:1::200"
SIZES = [  # net's, side's; what web's NIC and side's bridge then have, and web's addresses
    ("macvtap, uplink: eth0, mtu: 576", ", mtu: 1400", 576, 1400, {FOUR}),
    ("macvtap, uplink: eth0, mtu: 1400, host-access: true", "", 1400, 1500, {FOUR, SIX}),
    ("macvtap, uplink: eth0, mtu: 1000, host-access: true", "", 1000, 1500, {FOUR}),
    ("macvtap, uplink: eth0", ", mtu: 1300", 1500, 1300, {FOUR, SIX}),
    ("bridge, uplink: eth2", ", mtu: 1300", 1500, 1300, {FOUR, SIX}),
]
LEAST = "name: p\nnetworks: {net: {type: bridge%s}}\nguests: {web: {nics: [%s]}}\n"


def test_a_change_of_size_or_uplink_is_whole(sandbox: Sandbox) -> None:
    """Below an MTU of 1280 the kernel takes IPv6 away; and what goes with an uplink comes again at once."""
    for net, side, size, bridge, addresses in SIZES:
        sandbox.write(SIZED.format(net=net, side=side, alone="mtu: 1400", more=""))
        sandbox.guestwire("up", "--lab", "--no-guard")
        assert sandbox.guestwire("plan", "--exit-code").stdout == "Nothing to do.\n"
        (nic,) = json.loads(sandbox.sh("ip -n p-web -j address show eth0"))
        assert nic["mtu"] == size
        assert {each["local"] for each in nic["addr_info"] if each["scope"] == "global"} == addresses
        assert json.loads(sandbox.sh("ip -n p-host -j link show p-side"))[0]["mtu"] == bridge


def test_a_bridge_keeps_its_size_when_its_ports_go(sandbox: Sandbox) -> None:
    for words in (("", "{network: net, mtu: 1300}"), (", mtu: 1300", "")):
        sandbox.write(LEAST % words)
        sandbox.guestwire("up")
        assert sandbox.guestwire("plan", "--exit-code").stdout == "Nothing to do.\n"
        assert json.loads(sandbox.sh("ip -j link show p-net"))[0]["mtu"] == 1300


LARGE = "name: p\nnetworks: {net: {type: bridge, uplink: eth0, mtu: 1500}}\nguests: {}\n"


def test_a_bridge_has_its_size_though_its_uplink_has_more(sandbox: Sandbox) -> None:
    """Setting what a link has is nothing to the kernel, and so the bridge would follow its port."""
    sandbox.sh("ip link add eth0 mtu 9000 type veth peer name far; ip link set eth0 up")
    sandbox.write(LARGE)
    sandbox.guestwire("up")
    assert json.loads(sandbox.sh("ip -j link show p-net"))[0]["mtu"] == 1500
    assert sandbox.guestwire("plan", "--exit-code").stdout == "Nothing to do.\n"


HOST = "name: p\nnetworks: {net: {type: bridge%s}, new: {type: bridge%s}}\nguests: {web: {nics: [%s]}}\n"


def test_a_bridge_keeps_ipv6_until_its_uplink_has_left_though_small_ports_come(sandbox: Sandbox) -> None:
    """Else the kernel would take the host's IPv6 addresses and routes, which go along with the uplink."""
    sandbox.write(HOST % (", uplink: eth0", "", ""))
    sandbox.guestwire("up", "--lab")
    sandbox.write(HOST % (", mtu: 1200", ", uplink: eth0", "net"))
    sandbox.guestwire("up", "--no-guard")
    assert sandbox.guestwire("plan", "--exit-code").stdout == "Nothing to do.\n"
    assert "dev p-new" in sandbox.sh("ip -n p-host -6 route show default")
    assert json.loads(sandbox.sh("ip -n p-host -j link show p-net"))[0]["mtu"] == 1200


def test_a_size_that_takes_ipv6_away_is_taken_back(sandbox: Sandbox) -> None:
    usual = {"net": "macvtap, uplink: eth0", "side": ""}
    sandbox.write(SIZED.format(**usual, alone='subnet: ["fd00:9::/64", 10.9.0.0/24]', more=""))
    sandbox.guestwire("up", "--lab")
    before = sandbox.snapshot()
    small = {"net": "macvtap, uplink: eth0, mtu: 1000", "side": "", "alone": "mtu: 1000, subnet: 10.9.0.0/24"}
    sandbox.write(SIZED.format(**small, more="expect: [web does not reach lan]"))
    done = sandbox.guestwire("up", check=False)
    assert (done.returncode, "All was undone" in done.stderr) == (1, True)
    assert sandbox.snapshot() == before


def standing(sandbox: Sandbox, file: str) -> Any:
    """The project's status, without what its cables have carried."""
    status = sandbox.json("status", file)
    for guest in status["guests"]:
        for nic in guest["nics"]:
            nic.pop("cable", None)
    return status


def test_change_and_back_gives_the_picture_from_before(sandbox: Sandbox) -> None:
    sandbox.sh(UPLINKS)
    sandbox.write(THREE, "one.yaml")
    sandbox.write(CHANGED, "two.yaml")
    before = sandbox.snapshot()
    sandbox.guestwire("up", "two.yaml")
    changed = standing(sandbox, "two.yaml")
    sandbox.guestwire("up", "one.yaml")
    assert sandbox.json("status", "one.yaml")["drift"] == []
    sandbox.guestwire("up", "two.yaml")
    assert standing(sandbox, "two.yaml") == changed
    sandbox.guestwire("down", "one.yaml")  # another file of the same project
    assert sandbox.snapshot() == before


def test_what_somebody_broke_is_mended_and_nothing_else(sandbox: Sandbox) -> None:
    sandbox.sh(UPLINKS)
    sandbox.write(THREE)
    sandbox.guestwire("up")
    built = sandbox.snapshot()
    sandbox.sh(
        """
        ip link set three-web.0 down
        ip link set three-web.0 nomaster
        ip -n three-db route delete default
        ip -n three-db address delete 10.77.0.3/24 dev eth0
        ip link set eth0 nomaster
        ip netns delete three-many-1
        ip -n three-old link delete eth0
        rm /etc/netns/three-web/resolv.conf
        while ip link show three-many-1.1; do sleep 0.02; done
        """  # it goes when the kernel gets to the namespace of its other end
    )
    drift = sandbox.json("status")["drift"]
    assert drift
    was = links(sandbox)
    sandbox.guestwire("up")
    assert kept(was, links(sandbox)) == was
    now = sandbox.snapshot()
    assert {key for key in built if key.startswith(("addr", "name", "file", "route"))} <= set(now)
    assert sandbox.json("status")["drift"] == []
    assert all(
        sorted(now[key].split()) == sorted(text.split()) for key, text in built.items() if key.startswith("route")
    )
