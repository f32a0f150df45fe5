"""`up --confirm`: a change waits, is kept by `confirm`, and goes back by itself without, whoever has died meanwhile."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.sandbox import SOURCE, Sandbox
from tests.world.files import UPLINKS

FILE = """
name: p
networks:
  lan: {type: bridge, uplink: eth0}
  private: {type: bridge, subnet: 10.77.0.0/24, dhcp: true}
guests:
  web: {nics: [{network: lan, address: []}, private]}
  db: {nics: [private]}
"""
CHANGED = """
name: p
networks:
  lan: {type: bridge, uplink: eth2}
  private: {type: bridge, subnet: 10.77.0.0/24}
guests:
  web: {nics: [private]}
  new: {nics: [{network: lan, address: []}]}
"""
LONG = "600"
WAIT = """
import os, select, sys
try:
    handle = os.pidfd_open(int(sys.argv[1]))
except ProcessLookupError:
    print("ended")
else:
    print("ended" if select.select([handle], [], [], 30)[0] else "lives")
"""
FAKE = """#!/bin/sh
printf '%s\\n' "$@" > words
while [ "$1" != -- ]; do case $1 in --setenv=*) export "${1#--setenv=}";; esac; shift; done
shift
setsid --fork "$@" < /dev/null > /dev/null 2>&1
"""


def built(sandbox: Sandbox) -> dict[str, str]:
    """The first file is up; the picture of that."""
    sandbox.sh(UPLINKS)
    sandbox.write(FILE)
    sandbox.guestwire("up")
    return sandbox.snapshot()


def waiting(sandbox: Sandbox, *words: str, seconds: str = LONG) -> dict[str, Any]:
    """The changed file is up, and waits to be confirmed; what `up` says of that."""
    sandbox.write(CHANGED)
    found: dict[str, Any] = sandbox.json("up", "--confirm", seconds, *words)["confirm"]
    return found


def ended(sandbox: Sandbox, pid: int) -> None:
    """Wait until that process has ended."""
    assert sandbox.python(WAIT, str(pid)).stdout == "ended\n"


def same(found: dict[str, str], wanted: dict[str, str]) -> None:
    """All is as it was; what was made again has another number."""
    for name, text in wanted.items():
        assert _unnumbered(found.get(name, "")) == _unnumbered(text), name
    assert found.keys() == wanted.keys()


def _unnumbered(text: str) -> list[str]:
    return sorted(re.sub(r"^\d+: |(?<=@if)\d+", "", line) for line in text.splitlines())


def time_is_over(sandbox: Sandbox) -> None:
    """The time of a change that waits is over, by its journal; who waits hears of that."""
    sandbox.sh("sed -i 's/^waiting .*/waiting 0.0/' /run/guestwire/p/journal")


def test_a_confirmed_change_stays(sandbox: Sandbox) -> None:
    built(sandbox)
    found = waiting(sandbox)
    assert (found["seconds"], found["unit"]) == (int(LONG), None)
    assert "p-db" in sandbox.sh("ls /run/netns").split()  # what can't be undone comes later
    said = sandbox.guestwire("confirm").stdout
    assert said == "p: confirmed.\n"
    assert sandbox.sh("ls /run/netns").split() == ["p-new", "p-web"]
    ended(sandbox, found["pid"])
    assert not sandbox.json("plan")["changes"]
    assert "timer.json" not in sandbox.sh("ls /run/guestwire/p")


def test_without_a_word_all_is_as_before(sandbox: Sandbox) -> None:
    before = built(sandbox)
    found = waiting(sandbox, seconds="1")
    ended(sandbox, found["pid"])
    same(sandbox.snapshot(), before)
    late = sandbox.guestwire("confirm", check=False)
    assert late.returncode == 1
    assert "nothing is waiting to be confirmed" in late.stderr


def test_a_first_up_that_nobody_confirms_leaves_nothing(sandbox: Sandbox) -> None:
    sandbox.sh(UPLINKS)
    before = sandbox.snapshot()
    sandbox.write(FILE)
    ended(sandbox, sandbox.json("up", "--confirm", "1")["confirm"]["pid"])
    same(sandbox.snapshot(), before)


def test_rollback_takes_it_back_at_once(sandbox: Sandbox) -> None:
    before = built(sandbox)
    found = waiting(sandbox)
    assert sandbox.guestwire("rollback").stdout == "p: all was undone.\n"
    ended(sandbox, found["pid"])
    same(sandbox.snapshot(), before)
    assert sandbox.guestwire("rollback").stdout == "Nothing to settle.\n"


def test_meanwhile_others_look_and_dont_touch(sandbox: Sandbox) -> None:
    built(sandbox)
    sandbox.guestwire("tap", "add", "x")
    waiting(sandbox)
    words = (
        ("up",),
        ("down",),
        ("down", "--project", "p"),
        ("plan",),
        ("tap", "add", "y"),
        ("tap", "del", "x"),
        ("cable", "add", "p", "p-web/eth0", "x"),
        ("cable", "del", "p", "p-web/eth0"),
        ("up", "--project", "other"),
    )
    for each in words:
        done = sandbox.guestwire(*each, check=False)
        assert done.returncode == 75, (each, done.stderr)
        assert "project p is waiting for confirm, " in done.stderr
        assert " s left." in done.stderr
        assert "`guestwire confirm --project p` keeps the change, `guestwire rollback --project p`" in done.stderr
    status = sandbox.json("status")
    assert 0 < status["confirm"] <= int(LONG)
    assert "Waiting for confirm, " in sandbox.guestwire("status").stdout
    assert [(each["action"], each["name"]) for each in status["drift"]] == [("delete", "p-db")]
    assert [guest["name"] for guest in status["guests"]] == ["web", "new"]
    assert sandbox.json("check")["pairs"]
    assert sandbox.guestwire("exec", "new", "--", "true").returncode == 0
    (listed,) = sandbox.json("list")["projects"]
    assert listed["unsettled"]
    assert 0 < listed["confirm"] <= int(LONG)
    said = sandbox.guestwire("list").stdout
    assert "waiting for confirm" in said
    assert "Waiting: `guestwire confirm` keeps it" in said


@pytest.mark.parametrize("step", [1, 8, 16])
def test_killed_midway_it_goes_back_at_once(step: int, sandbox: Sandbox) -> None:
    before = built(sandbox)
    sandbox.write(CHANGED)
    done = sandbox.guestwire("up", "--confirm", LONG, check=False, env={"GUESTWIRE_FAULT": f"kill:{step}"})
    assert done.returncode == -signal.SIGKILL
    for pid in sandbox.run("pgrep", "-f", "api.timer", check=False).stdout.split():  # none where it is through already
        ended(sandbox, int(pid))
    same(sandbox.snapshot(), before)


def test_it_survives_the_death_of_all_around(sandbox: Sandbox) -> None:
    """A hangup, and kill -9 of the whole group and session of `up`."""
    before = built(sandbox)
    sandbox.write(CHANGED)
    script = f"{sys.executable} -m guestwire up --json --confirm {LONG} > said; echo done; exec cat"
    shell = subprocess.Popen(
        sandbox.inside("setsid", "sh", "-c", script),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=sandbox.folder,
        env={**os.environ, "PYTHONPATH": str(SOURCE)},
    )
    assert shell.stdout
    assert shell.stdout.readline() == "done\n"
    found = json.loads((sandbox.folder / "said").read_text())["confirm"]
    session = sandbox.sh("ps -C cat -o sid= | grep -v '^ *[01]$'").split()[0]
    sandbox.run("kill", "-HUP", str(found["pid"]))
    sandbox.run("pkill", "-KILL", "-s", session)
    shell.wait(timeout=60)
    shell.stdout.close()
    assert shell.stdin
    shell.stdin.close()
    where = sandbox.sh(
        f"ps -o sid=,tty= -p {found['pid']}; readlink /proc/{found['pid']}/cwd /proc/{found['pid']}/fd/[012]"
    )
    assert where.split() == [str(found["pid"]), "?", "/", "/dev/null", "/dev/null", "/dev/null"]
    time_is_over(sandbox)
    ended(sandbox, found["pid"])
    same(sandbox.snapshot(), before)


@pytest.mark.parametrize("settled", ["rollback", "confirm"])
def test_a_killed_timer_is_told_and_settled_by_hand(settled: str, sandbox: Sandbox) -> None:
    before = built(sandbox)
    found = waiting(sandbox)
    sandbox.kill(found["pid"])
    said = sandbox.guestwire("up", check=False)
    assert said.returncode == 75
    assert f"the process that was to take it back ({found['pid']}) is gone" in said.stderr
    time_is_over(sandbox)
    said = sandbox.guestwire("up", check=False)
    assert said.returncode == 75
    assert "project p was not confirmed, and the process" in said.stderr
    sandbox.guestwire(settled)
    if settled == "rollback":
        same(sandbox.snapshot(), before)
    else:
        assert not sandbox.json("plan")["changes"]


def test_what_was_broken_off_cant_be_confirmed(sandbox: Sandbox) -> None:
    before = built(sandbox)
    sandbox.write(CHANGED)
    sandbox.guestwire("up", check=False, env={"GUESTWIRE_FAULT": "kill:9"})
    done = sandbox.guestwire("confirm", check=False)
    assert done.returncode == 75
    assert "broken off before it was whole" in done.stderr
    sandbox.guestwire("rollback")
    same(sandbox.snapshot(), before)


@pytest.mark.parametrize("step", [0, 1, 5])
def test_a_killed_confirm_is_finished(step: int, sandbox: Sandbox) -> None:
    """Past the commit point only forward: by the timer, or by whichever of the two verbs comes."""
    built(sandbox)
    found = waiting(sandbox)
    sandbox.sh("echo commit >> /run/guestwire/p/journal")
    sandbox.guestwire(("rollback", "confirm")[step % 2])
    assert not sandbox.json("plan")["changes"]
    ended(sandbox, found["pid"])


def test_under_systemd_it_is_a_service_of_the_system(sandbox: Sandbox, tmp_path: Path) -> None:
    before = built(sandbox)
    fake = tmp_path / "bin" / "systemd-run"
    fake.parent.mkdir()
    fake.write_text(FAKE)
    fake.chmod(0o755)
    sandbox.sh("mkdir -p /run/systemd/system")
    sandbox.write(CHANGED)
    path = f"{fake.parent}:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin"
    done = sandbox.guestwire("up", "--json", "--confirm", "2", env={"PATH": path})
    found = json.loads(done.stdout)["confirm"]
    assert found["unit"] == "guestwire-confirm-p"
    words = (sandbox.folder / "words").read_text().splitlines()
    options, command = words[: words.index("--")], words[words.index("--") + 1 :]
    assert {"--quiet", "--collect", "--unit=guestwire-confirm-p", f"--setenv=PATH={path}"} <= set(options)
    assert not {"--scope", "--user"} & set(options)
    assert command == [sys.executable, "-P", "-m", "guestwire.api.timer", "p", "guestwire-confirm-p"]
    ended(sandbox, found["pid"])
    sandbox.sh("rm -r /run/systemd")
    same(sandbox.snapshot(), before)


@pytest.mark.parametrize(
    ("place", "said", "warns"),
    [
        ("logind.conf", "yes", True),
        ("logind.conf.d/50-site.conf", "yes", True),
        ("logind.conf", "no", False),
        ("logind.conf", "#", False),
    ],
)
def test_who_would_be_ended_by_logind_is_warned(place: str, said: str, warns: bool, sandbox: Sandbox) -> None:
    sandbox.write("name: p\nnetworks: {net: {type: bridge, subnet: 10.77.0.0/24}}\nguests: {}\n")
    mark = "#" if said == "#" else ""
    sandbox.sh(
        "mkdir -p /etc/systemd/logind.conf.d\nrm -f /etc/systemd/logind.conf\n"
        f"printf '[Login]\\n{mark}KillUserProcesses={said}\\n' > /etc/systemd/{place}"
    )
    warnings = sandbox.json("up", "--confirm", LONG)["warnings"]
    assert [("KillUserProcesses=yes" in each) for each in warnings] == [True] * warns
    sandbox.guestwire("rollback")


def test_with_nothing_to_do_nothing_waits(sandbox: Sandbox) -> None:
    before = built(sandbox)
    assert sandbox.json("up", "--confirm", "1")["confirm"] is None
    same(sandbox.snapshot(), before)


@pytest.mark.parametrize("word", ["0", "-1", "soon", "1.5"])
def test_seconds_are_a_whole_number(word: str, sandbox: Sandbox) -> None:
    sandbox.write(FILE)
    assert sandbox.guestwire("up", "--lab", f"--confirm={word}", check=False).returncode == 64


def test_one_that_cannot_be_settled_keeps_no_other_from_it(sandbox: Sandbox) -> None:
    text = "name: %s\nguests: {a: {}}\n"
    for name, place in (("first", []), ("second", ["--lab"])):
        sandbox.write(text % name)
        sandbox.guestwire("up", *place, check=False, env={"GUESTWIRE_FAULT": "kill:3"})
    journal = Path("/run/guestwire/first/journal")
    sandbox.sh(f"echo '{{}}' > {journal}")
    for words in (("list",), ("up",), ("confirm",)):
        told = sandbox.guestwire(*words, check=False)
        assert (told.returncode, str(journal) in told.stderr) == (69, True), words
    told = sandbox.guestwire("rollback", check=False)
    assert told.returncode == 69
    assert "settled all the same: second: all was undone." in told.stderr
    sandbox.sh(f"rm {journal}")
    sandbox.guestwire("down", "--project", "first")  # found by its marks
    assert sandbox.json("list")["projects"] == []


def test_nothing_is_kept_where_one_of_several_was_broken_off(sandbox: Sandbox) -> None:
    sandbox.write("name: waits\nguests: {a: {}}\n")
    sandbox.guestwire("up", "--confirm", "60")
    with_journal = "import sys; from guestwire.apply import Store; print(bool(Store('waits').journal()))"
    sandbox.sh("mkdir -p /run/guestwire/zz; cp /run/guestwire/waits/journal /run/guestwire/zz/journal")
    sandbox.sh("sed -i '/^waiting/d' /run/guestwire/zz/journal")
    assert sandbox.guestwire("confirm", check=False).returncode == 75
    assert sandbox.python(with_journal).stdout == "True\n"
    sandbox.sh("rm -r /run/guestwire/zz")
    sandbox.guestwire("rollback")
