"""The other host: it runs a command and leaves nothing; and in it the tests that need it, and a sample of all."""

from __future__ import annotations

import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.machine.debian import CACHE
from tests.machine.host import run

SAMPLE = (
    "tests/world/test_kinds.py::test_a_learnt_router_is_one_by_the_commands_too",
    "tests/linux/test_netlink.py",
)
"""Tests that run on any kernel, and in there too."""


def _left() -> list[str]:
    """Our folders, mounts and processes."""
    ours = f"{CACHE}/host-"  # what else is in the cache tests beside this one use
    mounts = [line for line in Path("/proc/self/mountinfo").read_text().splitlines() if ours in line]
    ps = subprocess.run(["ps", "-e", "-o", "args="], capture_output=True, text=True, check=True).stdout
    return [*map(str, CACHE.glob("host-*/")), *mounts, *(line for line in ps.splitlines() if ours in line)]


@pytest.mark.timeout(900)
def test_guestwire_in_a_host_with_another_kernel() -> None:
    """Beside it one that takes too long is ended. To run the tests two at once would have more to load than to run."""
    before = _left()
    with ThreadPoolExecutor() as beside:
        slow = beside.submit(run, ["sh", "-c", "echo here; sleep 800"], 150)
        words = ["python", "-m", "pytest", "-n", "0", "-p", "no:cacheprovider", "--color=no", "--durations=10"]
        ended = run([*words, "tests/machine/inside", *SAMPLE], 800)
        assert ended.code == 0, ended.said
        assert slow.result() == (None, "here\n")
    assert _left() == before
