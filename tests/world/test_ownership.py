"""What bears no mark of ours, or another project's, is never changed or deleted, also where we wanted its name."""

from __future__ import annotations

import pytest

from tests.sandbox import Sandbox
from tests.world.containers import process

ONE = """
name: one
networks:
  net: {type: bridge, subnet: [10.1.0.0/24, "fd00:1::/64"]}
  mac: {type: macvtap, uplink: eth1, host-access: true}
guests: {a: {nics: [net], dns: [192.0.2.1]}, b: {nics: [net, {network: mac, address: 198.51.100.20/24}]}}
"""
TWO = """
name: two
networks: {net: {type: bridge, subnet: [10.2.0.0/24, "fd00:2::/64"]}, mac: {type: macvtap, uplink: eth1}}
guests: {a: {nics: [net, {network: mac, address: 198.51.100.21/24}]}, one-b: {nics: [net]}}
"""
UPLINK = """
ip link add eth1 type veth peer name far1
ip link set far1 up
ip address add 198.51.100.10/24 dev eth1
ip link set eth1 up
"""
IN_THE_WAY = {
    "link": ("ip link add one-net type bridge", "one-net"),
    "link of a guest": ("ip link add one-a.0 type veth peer name other", "one-a.0"),
    "macvlan of the host": ("ip link add one-mac.h link eth1 type macvlan mode bridge", "one-mac.h"),
    "namespace": ("ip netns add one-a", "one-a"),
    "route": ("ip route add 198.51.100.20/32 dev eth1", "198.51.100.20/32"),
    "file": ("mkdir -p /etc/netns/one-a; echo nameserver 192.0.2.9 > /etc/netns/one-a/resolv.conf", "resolv.conf"),
    "another project's link": (
        "ip link add one-net type bridge; ip link set one-net alias guestwire:other:one-net",
        "one-net",
    ),
}


@pytest.mark.parametrize("what", IN_THE_WAY)
def test_what_is_not_ours_and_has_a_name_we_want_is_named_and_left(sandbox: Sandbox, what: str) -> None:
    script, name = IN_THE_WAY[what]
    sandbox.sh(UPLINK + script)
    sandbox.write(ONE)
    before = sandbox.snapshot()
    refused = sandbox.guestwire("up", check=False)
    assert refused.returncode == 65, refused.stderr
    assert name in refused.stderr
    assert "it is left as it is" in refused.stderr
    assert sandbox.snapshot() == before


def test_what_takes_a_name_when_we_are_about_to_make_it_is_not_touched(sandbox: Sandbox) -> None:
    # An alternative name stands in no picture, so it is found taken only by the kernel's refusal, as a name is that
    # somebody takes after we have looked. What follows the making goes by the name, too.
    sandbox.sh(f"{UPLINK} ip link add stranger type bridge")
    sandbox.write(ONE)
    for taken in ("one-net", "one-a.0"):
        sandbox.sh(f"ip link property add dev stranger altname {taken}")
        before = sandbox.snapshot()
        refused = sandbox.guestwire("up", check=False)
        assert refused.returncode == 71, refused.stderr
        assert f"{taken}: File exists. All was undone." in refused.stderr
        assert f"`ip link show {taken}` tells which" in refused.stderr
        assert sandbox.snapshot() == before
        sandbox.sh(f"ip link property del dev stranger altname {taken}")


TABLES = """
import os
from guestwire.kinds.nft import Nft
from guestwire.linux.kernel import Kernel
from guestwire.picture import Key
with Kernel() as kernel:
    try:
        Nft.table("", "inet theirs", "chain ours {\\n}", "one").create(kernel)
    except OSError as error:
        print(error.strerror)
    os.environ["PATH"] = f"{os.getcwd()}/broken:{os.environ['PATH']}"
    try:
        print(Nft.read(kernel, Key("", "", "nft", "inet theirs")))
    except OSError as error:
        print(error.strerror)
    print(Nft.read(kernel, Key("", "", "nft", "inet none")))
"""


def test_a_table_that_came_after_we_looked_or_cannot_be_read_is_not_replaced(sandbox: Sandbox) -> None:
    sandbox.sh("nft 'add table inet theirs; add chain inet theirs kept'; mkdir broken")
    sandbox.write("#!/bin/sh\necho no room >&2; exit 1\n", "broken/nft").chmod(0o755)
    refused, unread, absent = sandbox.python(TABLES).stdout.splitlines()
    assert "File exists" in refused
    assert (unread, absent) == ("no room", "None")
    assert "chain kept" in sandbox.sh("nft list table inet theirs")


def test_a_strangers_file_of_any_bytes_is_left_as_it_is(sandbox: Sandbox) -> None:
    strange = "mkdir -p /etc/netns/one-a; printf 'nameserver \\377\\r\\n' > /etc/netns/one-a/resolv.conf"
    sandbox.sh(UPLINK + strange)
    sandbox.write(ONE)
    refused = sandbox.guestwire("up", check=False)
    assert (refused.returncode, "it is left as it is" in refused.stderr) == (65, True), refused.stderr
    assert sandbox.sh("od -An -tx1 /etc/netns/one-a/resolv.conf | tail -c 10").split() == ["ff", "0d", "0a"]


ENDED = """
import subprocess
from guestwire.linux.kernel import Kernel
with Kernel() as kernel:
    for name in ("one-a", "one-b"):
        kernel.create_namespace(name)
    subprocess.run("ip netns delete one-a && ip netns add one-a", shell=True, check=True)
    for name in ("one-a", "one-b"):
        kernel.delete_namespace(name)
"""


def test_a_namespace_that_came_under_the_name_of_ours_stays(sandbox: Sandbox) -> None:
    sandbox.python(ENDED)
    assert sandbox.sh("ls /run/netns") == "one-a\n"


def test_table_that_is_not_ours_keeps_a_lab_from_being_made(sandbox: Sandbox) -> None:
    sandbox.sh("ip netns add one-gateway; ip netns exec one-gateway nft add table inet guestwire")
    sandbox.write(ONE)
    before = sandbox.snapshot()
    refused = sandbox.guestwire("up", "--lab", check=False)
    assert refused.returncode == 65
    assert "one-gateway" in refused.stderr
    assert sandbox.snapshot() == before


def test_everything_in_the_way_is_reported_at_once(sandbox: Sandbox) -> None:
    sandbox.sh(UPLINK + "ip netns add one-a; ip link add one-net type bridge; ip netns add one-b")
    sandbox.write(ONE)
    refused = sandbox.guestwire("up", check=False).stderr
    assert all(name in refused for name in ("one-a", "one-net", "one-b"))


@pytest.mark.parametrize("order", ["1212", "1221", "2112", "2121"])
def test_two_projects_on_one_host_do_not_disturb_each_other(sandbox: Sandbox, order: str) -> None:
    sandbox.sh(UPLINK)
    files = {"1": str(sandbox.write(ONE, "one.yaml")), "2": str(sandbox.write(TWO, "two.yaml"))}
    before = sandbox.snapshot()
    for number in order[:2]:
        sandbox.guestwire("up", files[number])
    for number in "12":
        assert sandbox.json("status", files[number])["drift"] == []
    sandbox.guestwire("down", files[order[2]])
    assert sandbox.json("status", files[order[3]])["drift"] == []
    assert sandbox.json("up", files[order[3]])["changes"] == []
    sandbox.guestwire("down", files[order[3]])
    assert sandbox.snapshot() == before


def test_what_others_add_to_ours_survives_another_up(sandbox: Sandbox) -> None:
    sandbox.sh(UPLINK)
    sandbox.write(ONE)
    before = sandbox.snapshot()
    sandbox.guestwire("up")
    sandbox.sh(
        """
        ip link add mine type veth peer name far
        ip link set mine master one-net
        ip address add 10.99.0.1/24 dev one-net
        ip -6 address add fd00:99::1/64 dev one-net nodad
        ip -n one-a link add theirs type bridge
        ip -n one-a link set theirs up
        ip -n one-a route add 203.0.113.0/24 via 10.1.0.1
        ip -n one-a address add 10.98.0.1/24 dev eth0
        ip netns exec one-a nft add table inet filter
        """
    )
    changed = sandbox.snapshot()
    assert sandbox.json("up")["changes"] == []
    assert sandbox.snapshot() == changed
    sandbox.write(ONE.replace("a: {nics", "c: {nics: [net]}, a: {nics"))
    sandbox.guestwire("up")
    now = sandbox.snapshot()
    assert {key: text for key, text in now.items() if key.endswith("one-a") and "sysctls" not in key} == {
        key: text for key, text in changed.items() if key.endswith("one-a") and "sysctls" not in key
    }
    assert "10.99.0.1/24" in now["addresses of "]
    assert "fd00:99::1/64" in now["addresses of "]
    sandbox.guestwire("down")
    assert sandbox.sh("ip -br link show mine").split()[0] == "mine@far"
    assert "master" not in sandbox.sh("ip link show mine")
    sandbox.sh("ip link delete mine")
    assert sandbox.snapshot() == before


def test_who_is_cut_off_is_said_before_and_left_as_it_is(sandbox: Sandbox) -> None:
    """Others' ports of a bridge that goes, and others on a parent that was down when it was lent."""
    sandbox.sh("ip link add eth0 type veth peer name far; ip link set far up")
    net = "net: {type: bridge, subnet: 10.1.0.0/24}"
    sandbox.write(
        f"name: p\nnetworks:\n  {net}\n  m: {{type: macvtap, uplink: eth0}}\nguests: {{a: {{nics: [net]}}}}\n"
    )
    sandbox.guestwire("up")
    pid = process(sandbox)
    sandbox.sh(
        f"""
        ip tuntap add vnet7 mode tap; ip link set vnet7 master p-net
        ip link add veth7 type veth peer name eth0 netns {pid}; ip link set veth7 master p-net
        ip link add link p-net name macvtap7 type macvtap mode bridge
        ip link add link eth0 name macvtap8 type macvtap mode bridge
        """
    )
    (sandbox.folder / "guestwire.yaml").write_text("name: p\nnetworks:\n  m: {type: macvtap, uplink: eth0}\n")
    ports = "p-net goes, and others' links are ports of it, which stay and are cut off: vnet7 (tap), veth7 (leads into "
    ports += f"the namespace of sleep (pid {pid}))."
    child = "p-net goes, and with it others' links that are on it: macvtap7 (macvtap bridge)."
    assert [each.partition(" Plug")[0] for each in sandbox.json("plan")["warnings"]] == [ports, child]
    said = sandbox.guestwire("down").stderr
    assert f"warning: {ports}" in said
    assert "warning: eth0 is set down, as it was, and others' links on it are cut off: macvtap8" in said
    left = sandbox.sh("ip -o link | cut -d: -f2 | cut -d@ -f1").split()
    assert left == ["lo", "far", "eth0", "vnet7", "veth7", "macvtap8"]
    assert "master" not in sandbox.sh("ip link")


def test_down_leaves_a_namespace_that_only_has_such_a_name(sandbox: Sandbox) -> None:
    sandbox.sh(UPLINK)
    sandbox.write(ONE)
    sandbox.sh("ip netns add one-stranger; ip -n one-stranger link set lo up; ip netns add one.switch")
    before = sandbox.snapshot()
    sandbox.guestwire("up")
    sandbox.guestwire("down")
    assert sandbox.snapshot() == before


SERVED = """
name: served
networks: {net: {type: bridge, subnet: 10.77.0.0/24, dhcp: true}}
guests: {a: {nics: [{network: net, device: tap}]}, b: {nics: [{network: net, address: dhcp}]}}
"""


@pytest.mark.parametrize("lab", [["--lab"], []], ids=["lab", "host"])
def test_project_is_taken_down_by_its_marks_when_its_state_is_lost(sandbox: Sandbox, lab: list[str]) -> None:
    sandbox.sh(UPLINK)
    sandbox.write(ONE.replace(", dns: [192.0.2.1]", "").replace("name: one", "name: one\nlab: {dhcp: false}"))
    before = sandbox.snapshot()
    sandbox.guestwire("up", *lab)
    [known] = sandbox.json("list")["projects"]
    sandbox.sh("rm -r /run/guestwire")
    [found] = sandbox.json("list")["projects"]
    assert found == {**known, "file": None}
    assert "known by its marks" in sandbox.guestwire("list").stdout
    status = sandbox.json("status")
    assert status["up"]
    assert [(guest["name"], guest["state"]) for guest in status["guests"]] == [("a", "up"), ("b", "up")]
    sandbox.guestwire("down")
    assert sandbox.snapshot() == before


def test_processes_of_a_project_whose_state_is_lost_end_with_it(sandbox: Sandbox) -> None:
    sandbox.write(SERVED)
    before = sandbox.snapshot()
    # Who only shows a file of ours is a stranger.
    sandbox.sh("setsid -f tail -F /run/guestwire/served/dhcp.net.pid >/dev/null 2>&1")
    beside = sandbox.snapshot()
    sandbox.guestwire("up")
    sandbox.sh("rm -r /run/guestwire")
    assert "1 cable" in sandbox.guestwire("down").stdout
    assert sandbox.snapshot() == beside != before


def test_project_whose_state_is_lost_is_found_again_by_up(sandbox: Sandbox) -> None:
    sandbox.sh(UPLINK)
    sandbox.write(ONE)
    before = sandbox.snapshot()
    sandbox.guestwire("up")
    built = sandbox.snapshot()
    sandbox.sh("rm -r /run/guestwire")
    assert sandbox.json("up")["changes"] == []
    assert sandbox.snapshot() == built
    sandbox.guestwire("down")
    assert sandbox.snapshot() == before
