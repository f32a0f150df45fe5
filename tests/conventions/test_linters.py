"""The linters are tests: what they say fails here first."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest


def passes(root: Path, *command: str) -> None:
    """Fail with what the command says."""
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.fail(f"{' '.join(command)}\n{done.stdout}{done.stderr}", pytrace=False)


def test_ruff_check(root: Path) -> None:
    passes(root, sys.executable, "-m", "ruff", "check", ".")


def test_ruff_format(root: Path) -> None:
    passes(root, sys.executable, "-m", "ruff", "format", "--check", ".")


@pytest.mark.timeout(300)  # the first time, without its cache
def test_mypy(root: Path) -> None:
    passes(root, sys.executable, "-m", "mypy")


def test_shellcheck(root: Path) -> None:
    beside = Path(sys.executable).parent / "shellcheck"
    shellcheck = str(beside) if beside.exists() else shutil.which("shellcheck")
    if shellcheck is None:
        pytest.skip("shellcheck isn't installed")
    places = ("tools", "src", "tests/machine")
    scripts = sorted(path for place in places for path in (root / place).rglob("*.sh"))
    passes(root, shellcheck, ".ci/run", *(str(path) for path in scripts))
