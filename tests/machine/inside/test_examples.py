"""The examples that need this kernel: each comes up, holds what it says, is changed, equals its commands, and goes.

All are up side by side, and all verbs run in one process: to load what they need takes seconds here.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.docs.pages import WIDTH, commands, matches, transcripts
from tests.examples import ELSEWHERE
from tests.sandbox import Sandbox
from tests.world.test_replay import assert_same, replay

VERBS = """
import contextlib, io, json, sys
from guestwire.cli.main import main

def say(*words):
    with contextlib.redirect_stdout(io.TextIOWrapper(io.BytesIO(), "utf-8", write_through=True)) as out:
        code = main(list(words))
    text = out.buffer.getvalue().decode()
    assert code == 0, (words, code, text)
    return text

told = []
for file, changed in zip(sys.argv[1::2], sys.argv[2::2]):
    commands = say("plan", file, "--lab", "--commands")
    changes = [json.loads(say("up", file, "--lab", "--json"))["changes"] for _ in range(2)]
    shown = {verb: say(verb, file) for verb in ("draw", "check")}
    changes += [json.loads(say("status", file, "--json"))["drift"]]
    commands += say("plan", changed, "--commands")
    changes += [json.loads(say("up", changed, "--no-guard", "--json"))["changes"] for _ in range(2)]
    told.append([commands, *map(len, changes), shown])
print(json.dumps(told))
"""
DOWN = "import sys; from guestwire import api; [api.down(file, guard=False) for file in sys.argv[1:]]"
CHANGES = {
    "bridge-vlans": {
        "vlans: true": "vlans: true, vlan: 5, host-vlan: 10, uplink-vlans: [10-29]",
        "[10, 30-39]": "[10, 25-29]",
        "red-2:   {nics: [{network: lan, vlan: 10,": "red-2: {nics: [{network: lan, vlan: 20,",
    },
    "ipvlan-l2": {"uplink: eth0": "uplink: eth0, flag: private"},
    "ipvlan-l3": {"mode: l3": "mode: l3s"},
}


@pytest.mark.timeout(400)
def test_examples_hold_equal_their_commands_and_leave_nothing(sandbox: Sandbox, second: Sandbox) -> None:
    files: list[str] = []
    for example in ELSEWHERE:
        text = example.read_text().partition("expect:")[0]
        for old, new in CHANGES[example.stem].items():
            assert old in text
            text = text.replace(old, new)
        files += [str(example), str(sandbox.write(text, example.name))]
    before = sandbox.snapshot()
    done = sandbox.python(VERBS, *files, env=WIDTH, seconds=400)
    for example, (said, made, again, drift, changed, unchanged, shown) in zip(
        ELSEWHERE, json.loads(done.stdout), strict=True
    ):
        assert made
        assert changed
        assert (again, drift, unchanged) == (0, 0, 0)
        _compare(example.name, shown)
        replay(second, said)
    assert_same(sandbox, second)
    sandbox.python(DOWN, *files[::2])
    assert sandbox.snapshot() == before


def _compare(name: str, shown: dict[str, str]) -> None:
    """Compare what pages show as printed for an example."""
    for block in transcripts(elsewhere=True):
        for (_, verb, file), lines in commands(block.text):
            if Path(file).name == name:
                now = shown[verb]
                assert matches(lines, now.rstrip("\n").split("\n")), f"{block}: {verb}: now it is\n{now}"
