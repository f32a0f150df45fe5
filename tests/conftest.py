"""What all tests share."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from tests.sandbox import Sandbox, sandboxed

# guestwire is started thousands of times: compiled anew each time, that would be a quarter of the tests' whole time.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

# How long an example takes is the machine's, and which are tried is the same each time: what fails once fails again.
settings.register_profile("guestwire", deadline=None, derandomize=True, database=None)
settings.load_profile("guestwire")

# Whoever started us in the background has us ignore these, and all that we start: tests want them to be heeded.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)


@pytest.fixture(scope="session")
def root() -> Path:
    """The folder of the project."""
    return Path(__file__).resolve().parent.parent


@pytest.fixture
def sandbox(tmp_path: Path) -> Iterator[Sandbox]:
    """A machine of the test's own."""
    with sandboxed(tmp_path) as machine:
        yield machine


@pytest.fixture
def second(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    """Another machine beside `sandbox`, with a folder of its own."""
    folder: Path = tmp_path_factory.mktemp("second")
    with sandboxed(folder) as machine:
        yield machine


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What says that it may take long comes first, lest one test runs alone at the end."""
    limits = {item: item.get_closest_marker("timeout") for item in items}
    items.sort(key=lambda item: -limit.args[0] if (limit := limits[item]) else 0)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """How often guestwire was broken off, and how often something was left then."""
    reports = [report for reports in terminalreporter.stats.values() for report in reports]
    told = [each for report in reports for each in getattr(report, "user_properties", ())]
    counts = {name: sum(int(value) for key, value in told if key == name) for name in ("injections", "leftovers")}
    if counts["injections"]:
        unfit = sorted({str(value) for key, value in told if key == "unfit"})
        terminalreporter.line("{injections} injections, {leftovers} leftovers".format(**counts))
        terminalreporter.line(f"not for this version on a real host: {', '.join(unfit)}") if unfit else None
