"""The commands that a plan says, run by a shell on another machine, give the same picture as guestwire does."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.examples import EXAMPLES, IMAGE, furnish
from tests.sandbox import Sandbox
from tests.world.consoles import idle
from tests.world.files import CHANGED, THREE, UPLINKS, WAYS

ROOT = Path(__file__).resolve().parent.parent.parent
HOLD = "from tests.world.pictures import main; main()"
COMMANDS_OF_DOWN = "from guestwire import api; print('\\n'.join(api.down(project='three').plan.commands()))"

each_place = pytest.mark.parametrize("lab", [["--lab"], []], ids=["lab", "host"])


def picture(sandbox: Sandbox, *named: str) -> Any:
    """What guestwire sees there."""
    return json.loads(sandbox.python(HOLD, *named).stdout)


def replay(sandbox: Sandbox, commands: str) -> None:
    """Run a plan's commands by a shell that stops at the first error."""
    word = sandbox.write(f'#!/bin/sh\nexec {sys.executable} -m guestwire "$@"\n', "guestwire")
    word.chmod(0o755)
    path = f"{word.parent}:{os.environ['PATH']}"
    done = sandbox.run("sh", "-eux", text=commands, check=False, env={"PATH": path})
    assert done.returncode == 0, done.stderr[-600:]


def assert_same(guestwires: Sandbox, shells: Sandbox) -> None:
    """Assert that both have the same picture, and say which values they don't share."""
    wanted = picture(guestwires)
    found = picture(shells, json.dumps(wanted["named"]))
    assert [v for v in found["values"] if v not in wanted["values"]] == []
    assert [v for v in wanted["values"] if v not in found["values"]] == []


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_commands_of_each_example(sandbox: Sandbox, second: Sandbox, path: Path) -> None:
    if furnish(path):
        quick = idle(sandbox.folder / "disk")
        for machine in (sandbox, second):
            machine.sh(f"mount --bind {quick} {IMAGE}")
    replay(second, sandbox.guestwire("plan", str(path), "--lab", "--commands").stdout)
    sandbox.guestwire("up", str(path), "--lab")
    assert_same(sandbox, second)


@each_place
@pytest.mark.parametrize("text", [THREE, CHANGED, WAYS], ids=["three", "changed", "ways"])
def test_commands_of_up(sandbox: Sandbox, second: Sandbox, lab: list[str], text: str) -> None:
    for machine in (sandbox, second):
        machine.sh(UPLINKS if not lab else ":")
    sandbox.write(text)
    replay(second, sandbox.guestwire("plan", *lab, "--commands").stdout)
    sandbox.guestwire("up", *lab)
    assert_same(sandbox, second)


@each_place
@pytest.mark.parametrize("way", [(THREE, CHANGED), (CHANGED, THREE), (THREE, WAYS)], ids=["there", "back", "ways"])
def test_commands_of_a_change(sandbox: Sandbox, second: Sandbox, lab: list[str], way: tuple[str, str]) -> None:
    for machine in (sandbox, second):
        machine.sh(UPLINKS if not lab else ":")
        machine.write(way[0])
        machine.guestwire("up", *lab)
    sandbox.write(way[1])
    replay(second, sandbox.guestwire("plan", "--commands").stdout)
    sandbox.guestwire("up", "--no-guard")  # passthru cuts its lab's host off
    assert_same(sandbox, second)


@each_place
def test_commands_of_down(sandbox: Sandbox, second: Sandbox, lab: list[str]) -> None:
    before = {}
    for machine in (sandbox, second):
        machine.sh(UPLINKS if not lab else ":")
        before[machine] = machine.snapshot()
        machine.write(THREE)
        machine.guestwire("up", *lab)
    replay(second, sandbox.python(COMMANDS_OF_DOWN).stdout)
    assert sandbox.snapshot() == before[sandbox]
    assert_same(sandbox, second)
