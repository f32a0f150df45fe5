"""The examples that need this kernel: each comes up, holds what it says, equals its commands, and leaves nothing.

All verbs of one run in one process: to start one takes seconds here.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.docs.pages import ROOT, Block, commands, matches, play, transcripts
from tests.examples import ELSEWHERE
from tests.sandbox import Sandbox
from tests.world.test_replay import assert_same, replay

VERBS = """
import json, sys
from guestwire import api
file = sys.argv[1]
told = {"commands": "\\n".join(api.plan(file, lab=True).plan.commands())}
told["made"] = len(api.up(file, lab=True).plan.steps)
told["again"] = len(api.up(file, lab=True).plan.steps)
told["drift"] = api.status(file).to_json()["drift"]
report = api.check(file).to_json()
told["broken"] = [each for each in report["expectations"] if not each["held"]]
print(json.dumps(told))
"""
DOWN = "import sys; from guestwire import api; api.down(sys.argv[1])"


@pytest.mark.parametrize("example", ELSEWHERE, ids=lambda path: path.stem)
def test_example_holds_and_leaves_nothing(sandbox: Sandbox, second: Sandbox, example: Path) -> None:
    before = sandbox.snapshot()
    told = json.loads(sandbox.python(VERBS, str(example)).stdout)
    assert told["made"]
    assert (told["again"], told["drift"], told["broken"]) == (0, [], [])
    replay(second, told["commands"])
    assert_same(sandbox, second)
    sandbox.python(DOWN, str(example))
    assert sandbox.snapshot() == before


@pytest.mark.parametrize("block", transcripts(elsewhere=True), ids=str)
def test_transcripts_are_true(sandbox: Sandbox, block: Block) -> None:
    sandbox.folder = ROOT
    for (words, shown), printed in zip(commands(block.text), play(sandbox, block.text), strict=True):
        assert matches(shown, printed), f"{words}: now it is\n" + "\n".join(printed)
