"""guestwire failed, interrupted or killed at any step leaves the host as it was, at the latest after a rollback."""

from __future__ import annotations

import json
import os

import pytest

from tests.sandbox import Sandbox
from tests.world.faults import Job
from tests.world.files import CHANGED, THREE, UPLINKS

MOST = None if os.environ.get("GUESTWIRE_ALL_FAULTS") else 12
"""How many steps of each are struck; `make fault` strikes all."""

each_way = pytest.mark.parametrize("how", ["fail", "int", "kill"])
each_place = pytest.mark.parametrize("lab", [True, False], ids=["lab", "host"])


def strike(sandbox: Sandbox, verb: str, how: str, lab: bool, file: str, base: str | None = None) -> dict[str, int]:
    """Do the job in the sandbox, and assert that nothing was wrong; how many steps there are, were struck, and so on."""
    if not lab:
        sandbox.sh(UPLINKS)
    path = str(sandbox.write(file, "file.yaml"))
    start = str(sandbox.write(base, "base.yaml")) if base else None
    before = sandbox.snapshot()
    job = Job(verb, how, lab, path, start, MOST)
    done = json.loads(sandbox.python("from tests.world.faults import main; main()", job.words()).stdout)
    assert done.pop("wrong") == []
    assert sandbox.snapshot() == before
    return dict(done)


@each_way
@each_place
def test_up_that_is_broken_off_leaves_nothing(sandbox: Sandbox, how: str, lab: bool) -> None:
    assert strike(sandbox, "up", how, lab, THREE)["attempts"]


@each_way
@each_place
def test_change_that_is_broken_off_changes_nothing(sandbox: Sandbox, how: str, lab: bool) -> None:
    assert strike(sandbox, "up", how, lab, CHANGED, THREE)["attempts"]


@each_way
@each_place
def test_down_that_is_broken_off_is_taken_back_or_finished(sandbox: Sandbox, how: str, lab: bool) -> None:
    assert strike(sandbox, "down", how, lab, THREE, THREE)["attempts"]
