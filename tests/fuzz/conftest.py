"""Which seeds are tried: a few among the slow tests, or those that `--seeds` names."""

from __future__ import annotations

import pytest

FEW = range(6)  # two seconds of a processor each


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--seeds", metavar="FIRST-LAST", help="try the random files of these seeds")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "seed" in metafunc.fixturenames:
        first, _, last = str(metafunc.config.getoption("--seeds", None) or "").partition("-")
        seeds = range(int(first), int(last or first) + 1) if first else FEW
        metafunc.parametrize("seed", seeds)
