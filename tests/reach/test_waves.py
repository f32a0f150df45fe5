"""How probes are cut into waves, and what is done about a full neighbour table: with a table and sockets made up."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from guestwire.errors import Unavailable
from guestwire.linux.kernel import Kernel
from guestwire.reach import Answer, Probe, Surroundings, measure, neighbours, waves
from guestwire.reach.neighbours import Table
from guestwire.reach.probe import FULL
from guestwire.reach.station import Family

YES = Answer(True, "10.0.0.1 answered")


class FakeEcho:
    """Answers a wave by a function of its size; keeps the sizes."""

    def __init__(self, answer: Callable[[Sequence[Probe]], Answer | None]) -> None:
        self.answer = answer
        self.sizes: list[int] = []
        self.patience: list[float] = []

    def __call__(self, kernel: Kernel, sockets: int) -> FakeEcho:
        return self

    def close(self) -> None:
        pass

    def run(self, wave: Sequence[Probe], patience: float, resend: float) -> dict[int, Answer]:
        self.sizes.append(len(wave))
        self.patience.append(patience)
        answer = self.answer(wave)
        return {} if answer is None else dict.fromkeys(range(len(wave)), answer)


@pytest.fixture
def ask(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[Answer]]:
    def asked(echo: FakeEcho, table: Callable[[Family], Table], count: int, timeout: float = 0.1) -> list[Answer]:
        monkeypatch.setattr(waves, "Echo", echo)
        monkeypatch.setattr(waves, "read_table", table)
        monkeypatch.setattr(waves, "_PAUSE", 0.0)
        monkeypatch.setattr(waves, "next_hops", lambda *_: frozenset())
        monkeypatch.setattr(waves, "Footprint", Nothing)
        found: dict[int, Answer] = {}
        with Kernel() as kernel:
            probe = lambda n: Probe(f"from-{n}", f"10.0.{n >> 8}.{n & 255}", 4)  # noqa: E731
            measure(kernel, range(count), probe, found.__setitem__, Surroundings(), timeout)
        return [found[n] for n in range(count)]

    return asked


class Nothing:
    def __init__(self, *_: Any) -> None:
        self.resolved: dict[str, str] = {}

    def take_back(self) -> set[tuple[str, str]]:
        return set()


def table(family: Family = 4, **changed: Any) -> Table:
    return dataclasses.replace(Table(family, 100, 200, 0, 0, True), **changed)


def test_a_wave_fits_below_the_soft_limit(ask: Callable[..., list[Answer]]) -> None:
    echo = FakeEcho(lambda wave: YES)
    assert ask(echo, table, 100) == [YES] * 100
    assert max(echo.sizes) == (100 - 32) // 2
    assert sum(echo.sizes) == 100


def test_who_is_silent_is_asked_three_times(ask: Callable[..., list[Answer]]) -> None:
    echo = FakeEcho(lambda wave: None)
    assert ask(echo, table, 2) == [Answer(False, f"no answer from 10.0.0.{n} within 0.1 s") for n in range(2)]
    assert echo.sizes == [2, 2, 2]


def test_few_have_time_to_answer_at_last_however_long_the_others_took(
    ask: Callable[..., list[Answer]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on a machine that is busy, or with many who are silent: who answers for others takes .8 s over it."""
    clock = itertools.count(0, 5)
    monkeypatch.setattr(waves, "monotonic", lambda: float(next(clock)))
    for count, least in ((50, 0.6 * 2.0), (200, 0.3)):
        echo = FakeEcho(lambda wave: None)
        ask(echo, table, count, 2.0)
        assert echo.patience[-1] == least


def test_a_refusal_is_no_verdict_but_asked_again_in_smaller_waves(ask: Callable[..., list[Answer]]) -> None:
    fulls = itertools.count()
    echo = FakeEcho(lambda wave: FULL if len(wave) > 10 else YES)
    assert ask(echo, lambda family: table(family, fulls=next(fulls)), 40) == [YES] * 40
    assert echo.sizes[:3] == [34, 17, 8]


def test_silence_while_the_table_overflowed_is_no_verdict(ask: Callable[..., list[Answer]]) -> None:
    """The answer may have died of it at the other end, where nobody is told."""
    fulls = itertools.count()
    echo = FakeEcho(lambda wave: None if len(wave) > 10 else YES)
    assert ask(echo, lambda family: table(family, fulls=next(fulls)), 40) == [YES] * 40


def test_where_the_table_cannot_be_seen_a_refusal_tells(ask: Callable[..., list[Answer]]) -> None:
    echo = FakeEcho(lambda wave: FULL if len(wave) > 10 else YES)
    assert ask(echo, lambda family: table(family, visible=False), 40) == [YES] * 40


def test_a_refusal_with_room_in_the_table_is_a_queue_that_drops(ask: Callable[..., list[Answer]]) -> None:
    found = ask(FakeEcho(lambda wave: FULL), table, 1)
    assert found[0].reached is None
    assert "ENOBUFS" in found[0].why


def test_a_table_that_stays_full_is_an_error_that_names_the_limit(
    ask: Callable[..., list[Answer]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waves, "_AGE", 0.0)
    fulls = itertools.count()
    with pytest.raises(Unavailable, match=r"neigh.default.gc_thresh3=1600") as raised:
        ask(FakeEcho(lambda wave: FULL), lambda family: table(family, fulls=next(fulls)), 4)
    assert "IPv4 neighbour table is full" in str(raised.value)


def test_a_namespace_of_our_own_assumes_the_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    def nothing(path: str) -> int:
        raise FileNotFoundError(path)

    monkeypatch.setattr(neighbours, "_read", nothing)
    assert neighbours.read_table(4) == Table(4, 512, 1024, 0, 0, False)


def test_a_crowded_table_still_gives_half_its_soft_limit() -> None:
    assert table(entries=150).room == 50
    assert table(entries=40).room == 28 + 22
    assert table(entries=0).room == 68
