"""Several guestwires at once: one works, the others say so (75) or find nothing to do; no lock outlives its holder."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from tests.sandbox import SECONDS, SOURCE, Sandbox
from tests.world.files import THREE, UPLINKS

ROUNDS = 50 if os.environ.get("GUESTWIRE_ALL_FAULTS") else 3
ONE, TWO = (
    f"name: {name}\nnetworks: {{n: {{type: bridge, subnet: 10.{i}.0.0/24}}}}\n"
    "guests: {g: {count: 30, nics: [n], dns: [192.0.2.1]}}\n"
    for i, name in enumerate(("one", "two"), 1)
)


def start(sandbox: Sandbox, *words: str) -> subprocess.Popen[str]:
    """Start the command line and don't wait for it."""
    return subprocess.Popen(
        sandbox.inside(sys.executable, "-m", "guestwire", *words),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        cwd=sandbox.folder,
        env={**os.environ, "PYTHONPATH": str(SOURCE)},
    )


def ends(*started: subprocess.Popen[str]) -> list[int]:
    """Their exit codes; each that is neither 0 nor 75 with what it said fails the test."""
    said = [each.communicate(timeout=SECONDS)[1] for each in started]
    assert all(each.returncode in (0, 75) for each in started), said
    assert all(
        "another guestwire" in text for each, text in zip(started, said, strict=True) if each.returncode == 75
    ), said
    return [each.returncode for each in started]


def test_two_at_once_of_one_project_make_it_once(sandbox: Sandbox) -> None:
    sandbox.sh(UPLINKS)
    sandbox.write(THREE)
    before = sandbox.snapshot()
    assert 0 in ends(*(start(sandbox, "up") for _ in range(3)))
    assert sandbox.json("status")["drift"] == []
    assert sandbox.json("up")["changes"] == []
    assert 0 in ends(*(start(sandbox, "down") for _ in range(3)))
    sandbox.guestwire("down")
    assert sandbox.snapshot() == before


@pytest.mark.parametrize("where", ["host", "lab"])
def test_ten_at_once_on_two_projects_end_right_or_say_75(sandbox: Sandbox, where: str) -> None:
    files = [str(sandbox.write(ONE, "one.yaml")), str(sandbox.write(TWO, "two.yaml"))]
    before = sandbox.snapshot()
    done = sandbox.python("from tests.world.crowd import main; main()", str(ROUNDS), where, *files, seconds=1200)
    told = json.loads(done.stdout)
    assert not told["wrong"], done.stderr
    assert told["codes"]["0"] == 10 * ROUNDS
    assert told["codes"]["75"] >= ROUNDS
    assert sandbox.snapshot() == before


def test_labs_at_once_do_not_wait_for_one_another(sandbox: Sandbox) -> None:
    files = [str(sandbox.write(text, name)) for text, name in ((ONE, "one.yaml"), (TWO, "two.yaml"))]
    before = sandbox.snapshot()
    assert ends(*(start(sandbox, "up", "--lab", file) for file in files)) == [0, 0]
    assert ends(*(start(sandbox, "down", file) for file in files)) == [0, 0]
    assert sandbox.snapshot() == before


def test_stale_lock_is_no_obstacle(sandbox: Sandbox) -> None:
    sandbox.write(ONE)
    before = sandbox.snapshot()
    sandbox.guestwire("up", check=False, env={"GUESTWIRE_FAULT": "kill:0"})
    assert ".lock" in sandbox.sh("ls /run/guestwire")
    sandbox.guestwire("up")
    sandbox.guestwire("down")
    assert sandbox.snapshot() == before
    sandbox.guestwire("up", "--lab", check=False, env={"GUESTWIRE_FAULT": "kill:0"})
    sandbox.guestwire("rollback")
    assert sandbox.snapshot() == before


TAKEN = """
import os
from guestwire.apply.lock import locked
with locked("h"):
    os.unlink("/run/guestwire/h.lock")
    with locked("h"):
        with open("/run/guestwire/h.lock") as file:
            theirs = os.fstat(file.fileno()).st_ino
        os.rename("/run/guestwire/h.lock", "/run/guestwire/theirs")
    os.rename("/run/guestwire/theirs", "/run/guestwire/h.lock")
print(os.stat("/run/guestwire/h.lock").st_ino == theirs)
"""


def test_a_lock_that_another_has_by_now_is_not_taken_away(sandbox: Sandbox) -> None:
    assert sandbox.python(TAKEN).stdout == "True\n"


TIDIED = """
import os
from guestwire.apply import lock
os.makedirs("/run/guestwire")
open("/run/guestwire/h.lock", "w").close()
(held, holds), (over, ends) = os.pipe(), os.pipe()
if os.fork() == 0:
    os.close(ends)
    unlink = os.unlink
    os.unlink = lambda path: (os.write(holds, b"x"), os.read(over, 1), unlink(path))
    lock.tidy()
    os._exit(0)
os.read(held, 1)
wait = lock.select.select
lock.select.select = lambda *words: (os.write(ends, b"x"), wait(*words))
with lock.locked("h"):
    print("had")
"""


def test_who_tidies_a_lock_away_is_waited_for(sandbox: Sandbox) -> None:
    assert sandbox.python(TIDIED).stdout == "had\n"


def test_who_only_looks_keeps_nobody_from_changing(sandbox: Sandbox) -> None:
    sandbox.write(ONE)
    sandbox.guestwire("up")
    _, changed, *_ = ends(*(start(sandbox, verb) for verb in ("status", "down", "status", "list", "plan")))
    assert changed == 0
    assert sandbox.json("list")["projects"] == []
