"""Golden plans: the very commands that build an example, so that a change in what is built shows in a diff.

GUESTWIRE_GOLDEN=write writes them anew.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.sandbox import Sandbox

GOLDEN = Path(__file__).parent / "golden"
EXAMPLES = Path(__file__).parent.parent.parent / "examples"


@pytest.mark.parametrize("example", ["bridge-isolated", "macvtap-host-access", "three-ways"])
def test_the_plan_is_the_golden_one(sandbox: Sandbox, example: str) -> None:
    commands = sandbox.guestwire("plan", str(EXAMPLES / f"{example}.yaml"), "--lab", "--commands").stdout
    golden = GOLDEN / f"{example}.sh"
    if os.environ.get("GUESTWIRE_GOLDEN") == "write":
        golden.write_text(commands)
    assert commands == golden.read_text()
