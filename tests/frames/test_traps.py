"""The traps of taps and macvtaps: each is met, and said with its cause and its remedy (problems.md, E and A16)."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.sandbox import SOURCE, Sandbox

Said = Callable[..., Any]
HOLD = """
import os, sys
from guestwire.linux import namespaces, tuntap
with namespaces.visiting(sys.argv[2]):
    fds = [tuntap.attach(sys.argv[1], multi_queue=len(sys.argv) > 3) for _ in sys.argv[3:] or [0]]
print(os.getpid(), flush=True)
sys.stdin.read()
"""


@contextmanager
def held(sandbox: Sandbox, name: str, netns: str = "", queues: int = 0) -> Iterator[str]:
    """A process that holds a tap, which it opened in a namespace that it isn't in; its pid."""
    command = sandbox.inside(sys.executable, "-c", HOLD, name, netns, *["q"] * queues)
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env={"PYTHONPATH": str(SOURCE)}
    )
    assert process.stdin
    assert process.stdout
    try:
        yield process.stdout.readline().strip()
    finally:
        process.stdin.close()
        process.wait(timeout=60)
        process.stdout.close()


def test_e1_another_users_tap_and_one_to_be_made(sandbox: Sandbox, said: Said) -> None:
    sandbox.sh("ip tuntap add t0 mode tap user 1234; ip tuntap add t1 mode tap group 4321; ip tuntap add t2 mode tap")
    sandbox.sh("ip tuntap add t3 mode tap user 0")
    script = "say([*(why(Tap, name) for name in ('t0', 't0', 't1', 't2', 't3')), why(Tap, 'new', create=True)])"
    own, again, group, all_, roots, new = said(script, user=1234)
    assert own is None
    assert again is None  # closed again, it is free again
    assert all_ is None  # what has no owner at all is anybody's; `tap add` and `up` leave none so
    assert group[0] == roots[0] == new[0] == "NotPermitted"
    assert "open to group 4321 only, and this is 1234" in group[1]
    assert "--owner 1234" in group[1]
    assert "open to user root only" in roots[1]
    assert "CAP_NET_ADMIN" in new[1]
    [kind, text] = said("say(why(Tap, 't0'))", user=2000)
    assert kind == "NotPermitted"
    assert "open to user 1234 only, and this is 2000" in text


def test_e2_who_holds_it(sandbox: Sandbox, said: Said) -> None:
    sandbox.sh("ip netns add z; ip tuntap add t0 mode tap; ip -n z tuntap add t0 mode tap")
    with held(sandbox, "t0") as pid, held(sandbox, "t0", "z") as other:
        kind, text = said("say(why(Tap, 't0'))")
        assert kind == "Refused"
        assert f"(pid {pid})" in text
        assert f"(pid {other})" not in text  # of the same name, in another namespace, opened from this one
        assert "tap t0 is held by" in text
        assert "--queues 2" in text
        assert f"(pid {other})" in said("say(why(Tap, 't0', netns='z'))")[1]
    assert said("say(why(Tap, 't0'))") is None


def test_e4_nobody_holds_it_so_it_has_no_carrier(sandbox: Sandbox, said: Said) -> None:
    sandbox.sh("ip tuntap add t0 mode tap; ip link set t0 up")
    script = """
def carrier():
    from guestwire.frames.tap import link_called
    return link_called("t0").carrier
found = [carrier()]
with Tap("t0"):
    found.append(carrier())
say([*found, carrier()])
"""
    assert said(script) == [False, True, False]


def test_e5_one_that_is_not_there_is_not_made(sandbox: Sandbox, said: Said) -> None:
    sandbox.sh("ip tuntap add t0 mode tap; ip netns add z; ip link set t0 netns z")
    before = sandbox.snapshot()
    kind, text = said("say(why(Tap, 't0'))")
    assert kind == "UsageError"
    assert "there is no tap t0 in this namespace, and opening one of that name would make it" in text
    assert "Namespace z has a link of that name" in text
    assert "guestwire tap add t7" in said("say(why(Tap, 't7'))")[1]
    assert said("say(why(Tap, 't0', netns='z'))") is None
    assert "no network namespace y" in said("say(why(Tap, 't0', netns='y'))")[1]
    assert sandbox.snapshot() == before


def test_e5_one_that_goes_between_the_look_and_the_opening(sandbox: Sandbox, said: Said) -> None:
    sandbox.sh("ip tuntap add t0 mode tap")
    script = """
from guestwire.linux import tuntap
import subprocess
def attach(*args, really=tuntap.attach, **more):
    subprocess.run(["ip", "link", "del", "t0"], check=True)
    return really(*args, **more)
tuntap.attach = attach
say([why(Tap, "t0"), os.listdir("/proc/self/fd").__len__() < 8])
"""
    [kind, text], closed = said(script)
    assert (kind, closed) == ("UsageError", True)
    assert "there is no tap t0" in text
    assert "t0" not in sandbox.sh("ip link")


def test_e7_a_user_needs_no_setuid_bridge_program(sandbox: Sandbox, said: Said) -> None:
    # What qemu-bridge-helper does as root for a user's QEMU, `up` does once: a bridge's port, which the user opens.
    sandbox.write("""
name: p
networks: {net: {type: bridge}}
guests: {vm: {kind: process, owner: 1234, nics: [{network: net, name: vnet0}]}}
""")
    sandbox.guestwire("up")
    assert said("say(why(Tap, 'vnet0'))", user=1234) is None
    assert "master p-net" in sandbox.sh("ip link show vnet0")
    sandbox.guestwire("down")


def test_another_namespace_is_not_entered_by_everybody(sandbox: Sandbox, said: Said) -> None:
    sandbox.sh("ip netns add z; ip -n z tuntap add t0 mode tap user 1234")
    kind, text = said("say(why(Tap, 't0', netns='z'))", user=1234)
    assert kind == "NotPermitted"
    assert "entering network namespace z takes CAP_SYS_ADMIN" in text


def test_e8_no_door_and_a_closed_one(sandbox: Sandbox, said: Said) -> None:
    sandbox.sh("ip tuntap add t0 mode tap user 1234")
    sandbox.sh("chmod 600 /run/door")
    kind, text = said("say(why(Tap, 't0'))", user=1234)
    assert kind == "NotPermitted"
    assert "its mode is 0600 and its owner root" in text
    sandbox.sh("umount /dev/net/tun; mount -t tmpfs none /dev/net")
    kind, text = said("say(why(Tap, 't0'))")
    assert kind == "Unavailable"
    assert "there is no /dev/net/tun" in text
    assert "modprobe tun" in text


def test_e8_up_says_it_before_the_first_step(sandbox: Sandbox) -> None:
    sandbox.sh("mount -t tmpfs none /dev/net")
    before = sandbox.snapshot()
    sandbox.write("name: p\nnetworks: {net: {type: bridge}}\nguests: {vm: {kind: process, nics: [net]}}\n")
    done = sandbox.guestwire("up", check=False)
    assert done.returncode == 69
    assert "there is no /dev/net/tun, through which taps are made" in done.stderr
    assert sandbox.snapshot() == before


def test_e9_opening_it_leaves_owner_and_persistence_alone(sandbox: Sandbox, said: Said) -> None:
    sandbox.sh("ip tuntap add t0 mode tap user 1234; ip link set t0 up")
    told = "until ip -d link show t0 | grep -q 'NO-CARRIER.* state DOWN'; do sleep 0.02; done; ip -d link show t0"
    before = sandbox.sh(told)  # the kernel takes note of a carrier in its own time
    said("with Tap('t0', vnet_header=True) as tap: tap.offload(Offload.CSUM)\nsay(0)")
    after = sandbox.sh(told)
    assert "persist on" in after
    assert "user 1234" in after
    assert after.split("tun type")[0] == before.split("tun type")[0]


def test_what_is_no_tap_or_the_other_of_the_two(sandbox: Sandbox, said: Said) -> None:
    sandbox.sh("ip link add v0 type veth peer name v1; ip link add link v0 name mt type macvtap mode bridge")
    sandbox.sh("ip tuntap add t0 mode tap; ip tuntap add u0 mode tun; ip tuntap add q0 mode tap multi_queue")
    script = """
say([why(Tap, 'v0'), why(Tap, 'mt'), why(Tap, 'u0'), why(Tun, 't0'), why(Tap, 'q0'), why(Tap, 't0', multi_queue=True),
     why(MacvTap, 'v0'), why(MacvTap, 't0'), why(MacvTap, 'zz'), why(Tap, 't0', create=True), why(Tap, 'x' * 16)])
"""
    texts = []
    for kind, text in said(script):
        assert kind == "UsageError"
        texts.append(text)
    for text, wanted in zip(
        texts,
        [
            "v0 is no tap: it is a veth",
            "mt is no tap: it is a macvtap. Use MacvTap",
            "u0 is a tun, not a tap. Use Tun",
            "t0 is a tap, not a tun. Use Tap",
            "q0 has several queues",
            "t0 has one queue",
            "v0 is no macvtap: it is a veth",
            "t0 is no macvtap: it is a tun. Use Tap",
            "there is no macvtap zz",
            "there is a link t0 already",
            "1 to 15 characters",
        ],
        strict=True,
    ):
        assert wanted in text


def test_queues_are_counted(sandbox: Sandbox, said: Said) -> None:
    sandbox.sh("ip tuntap add q0 mode tap multi_queue")
    with held(sandbox, "q0", queues=256) as pid:
        kind, text = said("say(why(Tap, 'q0', multi_queue=True))")
    assert kind == "Refused"
    assert f"(pid {pid})" in text
    assert "no queue left" in text


MACVTAPS = """
ip netns add a; ip netns add b
for netns in a b; do
    ip -n $netns link add p0 type veth peer name p1
    ip -n $netns link set p0 up; ip -n $netns link set p1 up
    ip -n $netns link add link p0 name mt index {index} address 02:00:00:00:00:0$netns type macvtap mode bridge
    ip -n $netns link set mt up
done
"""


@pytest.fixture
def index(sandbox: Sandbox) -> Iterator[int]:
    """The index of two macvtaps of one name, in namespaces a and b; /dev has one node for both, and ours to change."""
    number = 1000 + sandbox.pid % 100000  # /dev is the whole machine's: another test's may be there too
    sandbox.sh("mkdir /run/dev; mount --rbind /dev /run/dev; mount -t tmpfs none /dev; mkdir /dev/net")
    sandbox.sh("for node in null zero urandom; do touch /dev/$node; mount --bind /run/dev/$node /dev/$node; done")
    sandbox.sh(MACVTAPS.format(index=number))
    yield number
    sandbox.sh("ip netns del a; ip netns del b")


def test_a16_the_node_is_another_namespaces(sandbox: Sandbox, said: Said, index: int) -> None:
    # As root: through a node of our own. As a user who was given /dev/tapN: only where it is the link's.
    numbers = [
        sandbox.sh(
            f"nsenter --net=/run/netns/{netns} unshare -m sh -c "
            f"'mount -t sysfs none /sys && cat /sys/class/net/mt/tap{index}/dev'"
        ).strip()
        for netns in ("a", "b")
    ]
    assert numbers[0] != numbers[1]
    script = "say([[t.name, __import__('guestwire.linux.tuntap').linux.tuntap.mac(t.fileno())] for t in ("
    script += "MacvTap('mt', netns='a'), MacvTap('mt', netns='b'))])"
    assert said(script) == [["mt", "02:00:00:00:00:0a"], ["mt", "02:00:00:00:00:0b"]]

    sandbox.sh(f"mknod -m 666 /dev/tap{index} c {numbers[0].replace(':', ' ')}")
    assert _in(sandbox, "a", "say(why(MacvTap, 'mt'))") == "null\n"
    told = _in(sandbox, "b", "say(why(MacvTap, 'mt'))")
    assert "NotPermitted" in told
    assert f"/dev/tap{index} is the macvtap of another namespace, not mt here" in told
    sandbox.sh(f"rm /dev/tap{index}")
    told = _in(sandbox, "b", "say(why(MacvTap, 'mt'))")
    assert f"its /dev/tap{index} can't (No such file or directory)" in told


def _in(sandbox: Sandbox, netns: str, script: str) -> str:
    """What an ordinary user's script says in a namespace."""
    from tests.frames.conftest import START

    user = "os.setgroups([]); os.setgid(1234); os.setuid(1234)\n"
    command = ("nsenter", f"--net=/run/netns/{netns}", sys.executable, "-c", START + user + script)
    return sandbox.run(*command).stdout
