"""Makes the ordinary user of a test, and looks that nothing of them remains."""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.rootless.ordinary import Ordinary

__all__ = ["NOBODY", "ordinary_user"]

NOBODY = os.geteuid() or 65534


@functools.cache
def _refused() -> str:
    """Why this machine gives no user namespace to an ordinary user, if so."""
    user = NOBODY if os.geteuid() == 0 else None
    done = subprocess.run(["unshare", "-Urnmpf", "true"], user=user, capture_output=True, text=True, check=False)
    return done.stderr


def ordinary_user() -> Iterator[Ordinary]:
    """For a fixture: an ordinary user with a runtime folder; labs are ended afterwards, and nothing may remain."""
    if _refused():
        pytest.skip(f"no user namespaces here: {_refused()}")
    # Not pytest's own folder, which is closed to other users.
    runtime = Path(tempfile.mkdtemp(prefix="guestwire-test-"))
    os.chown(runtime, NOBODY, NOBODY if os.geteuid() == 0 else -1)
    user = Ordinary(runtime, NOBODY)
    try:
        yield user
        user.end_all()
        assert user.records() == []
    finally:
        shutil.rmtree(runtime)
