"""On a big network neighbours are introduced: still measured, and nothing of it remains."""

from __future__ import annotations

import sys

import pytest

from guestwire.linux.kernel import Kernel
from guestwire.reach import Seat, Station, check
from tests.reach.conftest import Network


@pytest.fixture(autouse=True)
def _a_small_crowd(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.modules["guestwire.reach.check"], "_CROWD", 3)  # the package's `check` is the function


def test_all_answer_and_nothing_remains(network: Network, kernel: Kernel) -> None:
    stations = [network.station(f"g{i}", f"10.0.0.{i}/24", f"fd00::{i}/64") for i in range(1, 7)]
    report = check(kernel, stations)
    assert len(report.pairs) == 60
    assert all(pair.measured for pair in report.pairs)
    assert all(not network.neighbours(station.netns or "") for station in stations)


def test_who_does_not_answer_the_others_is_not_reached(network: Network, kernel: Kernel) -> None:
    """The first reaches all, and yet the isolated ports don't reach one another."""
    stations = [
        network.station(f"g{i}", f"10.0.0.{i}/24", f"fd00::{i}/64", port="isolated on" if i > 3 else "")
        for i in range(1, 6)
    ]
    report = check(kernel, stations, timeout=0.7)
    failed = {(pair.source, pair.target, pair.family) for pair in report.pairs if not pair.measured}
    assert failed == {(s, t, f) for s, t in (("g4", "g5"), ("g5", "g4")) for f in (4, 6)}
    assert all(not network.neighbours(station.netns or "") for station in stations)


def test_a_link_that_is_not_there_is_asked_by_broadcast(network: Network, kernel: Kernel) -> None:
    stations = [network.station(f"g{i}", f"10.0.0.{i}/24") for i in range(1, 5)]
    wrong = [Station(s.name, s.netns, (Seat("net", "eth7", s.nics[0].addresses),)) for s in stations]
    assert all(pair.measured for pair in check(kernel, wrong).pairs)
