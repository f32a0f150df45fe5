"""`tap add`, `list` and `del`: taps by themselves, whose they are, who holds them, and projects beside them."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.sandbox import SOURCE, Sandbox

HOLD = """
import sys
from guestwire.frames import MacvTap, Tap
kind = {"tap": Tap, "macvtap": MacvTap}[sys.argv[1]]
with kind(sys.argv[2], netns=sys.argv[3]) as device:
    print("held", flush=True)
    sys.stdin.read()
"""


@contextmanager
def held(sandbox: Sandbox, kind: str, name: str, netns: str = "") -> Iterator[int]:
    """A program that holds it; its pid, as the sandbox sees it."""
    command = sandbox.inside(sys.executable, "-c", HOLD, kind, name, netns)
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, env={"PYTHONPATH": str(SOURCE)}) as process:
        assert process.stdin
        assert process.stdout
        try:
            assert process.stdout.readline() == "held\n"
            yield process.pid
        finally:
            process.stdin.close()


def test_one_is_made_listed_and_deleted(sandbox: Sandbox) -> None:
    before = sandbox.snapshot()
    assert "is made, and waits for a program of nobody in group games" in (
        sandbox.guestwire("tap", "add", "t0", "--owner", "nobody", "--group", "games", "--queues", "2").stdout
    )
    sandbox.guestwire("tap", "add", "t1", "--tun")
    [one, two] = sandbox.json("tap", "list")["taps"]
    assert one == {
        "name": "t0",
        "netns": "",
        "device": "tap",
        "owner": "nobody",
        "group": "games",
        "queues": 0,
        "multi_queue": True,
        "persistent": True,
        "master": None,
        "up": True,
        "carrier": False,
        "why": "no program holds it",
        "holders": [],
        "project": "",
    }
    assert (two["device"], two["owner"], two["group"]) == ("tun", "root", None)
    assert "t1    tun     root" in sandbox.guestwire("tap", "list").stdout
    assert "made by guestwire for no project" in sandbox.guestwire("draw").stdout
    for name in ("t0", "t1"):
        assert sandbox.json("tap", "del", name) == {"deleted": name}
    assert sandbox.json("tap", "list")["taps"] == []
    assert sandbox.snapshot() == before


def test_another_namespace_is_the_host(sandbox: Sandbox) -> None:
    sandbox.sh("ip netns add z; ip tuntap add t0 mode tap")
    sandbox.guestwire("--netns", "z", "tap", "add", "t0")
    with held(sandbox, "tap", "t0", "z"):
        [here] = sandbox.json("tap", "list")["taps"]
        [there] = sandbox.json("tap", "list", "--netns", "z")["taps"]
        assert (here["holders"], here["why"]) == ([], "it is down; `ip link set t0 up`")
        assert [holder["descriptors"] for holder in there["holders"]] == [1]
        assert (there["netns"], there["carrier"], there["why"], there["queues"]) == ("z", True, None, 1)
    sandbox.guestwire("tap", "del", "t0", "--netns", "z")
    assert sandbox.json("tap", "list", "--netns", "nope", code=64)["error"]["message"].startswith("there is no network")


def test_one_that_is_held_is_deleted_only_when_somebody_says_so(sandbox: Sandbox) -> None:
    sandbox.guestwire("tap", "add", "t0")
    with held(sandbox, "tap", "t0"):
        error = sandbox.json("tap", "del", "t0", code=64)["error"]
        assert "t0 is held by" in error["message"]
        assert "`--yes` answers it" in error["hint"]
        [entry] = sandbox.json("tap", "list")["taps"]
        assert HOLD.split(maxsplit=1)[0] in entry["holders"][0]["command"]
        assert "held by" in sandbox.guestwire("tap", "list").stdout.lower()
        sandbox.guestwire("tap", "del", "t0", "--yes")
    assert sandbox.json("tap", "list")["taps"] == []


@pytest.mark.parametrize(
    ("make", "name", "said"),
    [
        ("ip tuntap add t0 mode tap", "t0", "wasn't made by `guestwire tap add`"),
        ("ip tuntap add t0 mode tap multi_queue", "t0", "`ip tuntap del dev t0 mode tap multi_queue` deletes it"),
        ("ip tuntap add t0 mode tun", "t0", "`ip tuntap del dev t0 mode tun` deletes it"),
        ("ip link add v0 type veth", "v0", "v0 is no tap: it is a veth"),
        ("ip link add v0 type veth; ip link add link v0 name mt type macvtap", "mt", "`ip link del mt` deletes it"),
        (":", "t7", "there is no tap t7"),
    ],
)
def test_what_others_made_is_left_alone(sandbox: Sandbox, make: str, name: str, said: str) -> None:
    sandbox.sh(make)
    before = sandbox.snapshot()
    error = sandbox.json("tap", "del", name, "--yes", code=64)["error"]
    assert said in f"{error['message']} {error['hint']}"
    assert sandbox.snapshot() == before


def test_a_remedy_that_is_said_works(sandbox: Sandbox) -> None:
    before = sandbox.snapshot()
    sandbox.sh("ip tuntap add t0 mode tap multi_queue")
    hint = sandbox.json("tap", "del", "t0", code=64)["error"]["hint"]
    sandbox.sh(hint.split("`")[1])
    assert sandbox.snapshot() == before


FILE = "name: p\nnetworks: {net: {type: bridge%s}}\nguests: {vm: {kind: process, nics: [{network: net, name: %s}]}}\n"


def test_a_project_and_taps_leave_each_other_alone(sandbox: Sandbox) -> None:
    sandbox.guestwire("tap", "add", "t0")
    before = sandbox.snapshot()
    sandbox.write(FILE % ("", "t0"))
    done = sandbox.guestwire("up", check=False)
    assert done.returncode == 65
    assert "tap t0 is already there and was made by `guestwire tap add`" in done.stderr
    sandbox.write(FILE % ("", "t1"))
    sandbox.guestwire("up")
    error = sandbox.json("tap", "del", "t1", code=64)["error"]
    assert error["message"] == "tap t1 is project p's."
    assert "guestwire down --project p" in error["hint"]
    sandbox.guestwire("down")
    assert sandbox.snapshot() == before


def test_a_file_may_name_one_as_an_uplink_and_gives_it_back(sandbox: Sandbox) -> None:
    sandbox.guestwire("tap", "add", "t0")
    before = sandbox.snapshot()
    sandbox.write(FILE % (", uplink: t0", "t1"))
    sandbox.guestwire("up")
    assert "master p-net" in sandbox.sh("ip link show t0")
    assert sandbox.json("up")["changes"] == []
    sandbox.guestwire("down")
    assert sandbox.snapshot() == before
    sandbox.guestwire("tap", "del", "t0")


def test_macvtaps_are_listed_with_their_holders(sandbox: Sandbox) -> None:
    sandbox.sh("ip link add v0 type veth peer name v1; ip link set v0 up; ip link set v1 up; ip netns add z")
    sandbox.sh("ip link add link v0 name mt type macvtap mode bridge; ip link set mt up; ip link set mt netns z up")
    with held(sandbox, "macvtap", "mt", "z"):
        [entry] = sandbox.json("tap", "list", "--netns", "z")["taps"]
        assert (entry["device"], entry["carrier"], entry["queues"]) == ("macvtap", True, 1)
        assert len(entry["holders"]) == 1
        assert "its node's owner" in sandbox.guestwire("tap", "list", "--netns", "z").stdout
    sandbox.sh("ip link set v1 down; while ip -n z link show mt | grep -q LOWER_UP; do sleep 0.02; done")
    [entry] = sandbox.json("tap", "list", "--netns", "z")["taps"]
    assert (entry["carrier"], entry["why"]) == (False, "its parent has none")
    sandbox.sh("ip link del v0")


def test_words_that_are_off(sandbox: Sandbox) -> None:
    before = sandbox.snapshot()
    for words, said in (
        (["add", "t0", "--owner", "no-such-user"], "there is no user `no-such-user`"),
        (["add", "t0", "--group", "4294967295"], "there is no group `4294967295`"),
        (["add", "t0", "--queues", "257"], "1 to 256"),
        (["add", "a-name-too-long-"], "1 to 15 characters"),
        (["add", "lo"], "there is a link lo already"),
        (["del"], "NAME"),
    ):
        error = sandbox.json("tap", *words, code=64)["error"]
        assert said in f"{error['message']} {error['hint']}"
    assert sandbox.snapshot() == before


def test_what_ends_it_midway_leaves_nothing(sandbox: Sandbox) -> None:
    before = sandbox.snapshot()
    script = """
import os, signal
from guestwire import api
from guestwire.frames import Tap
Tap.persist = lambda tap: os.kill(os.getpid(), signal.SIGKILL)
api.add_tap("t0")
"""
    assert sandbox.python(script, check=False).returncode < 0
    assert sandbox.snapshot() == before
