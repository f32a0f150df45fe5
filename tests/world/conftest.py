"""What the tests of this folder share."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import asdict

import pytest

from tests.sandbox import Sandbox
from tests.world.faults import Done, Job

STRIKES = 3600  # seconds that the strikes of one test get


@pytest.fixture
def strike(sandbox: Sandbox, record_property: Callable[[str, object], None]) -> Callable[..., Done]:
    """Does jobs in the sandbox, asserts that nothing was wrong, and has the strikes counted for the summary."""

    def do(*jobs: Job) -> Done:
        before = sandbox.snapshot()
        words = json.dumps([asdict(job) for job in jobs])
        said = sandbox.python("from tests.world.faults import main; main()", words, seconds=STRIKES).stdout
        done = Done(**json.loads(said))
        for name in ("injections", "leftovers"):
            record_property(name, getattr(done, name))
        if done.unfit:
            record_property("unfit", os.environ["PYTEST_CURRENT_TEST"].split("::")[-1].split(" ")[0])
        assert not done.wrong, "\n".join(done.wrong)
        assert sandbox.snapshot() == before
        return done

    return do
