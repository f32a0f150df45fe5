"""Measures who reaches whom: every ordered pair of stations over both families, and what the file expects."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from guestwire.linux.kernel import Kernel
from guestwire.reach import agents
from guestwire.reach.expectation import QuestionKey, alone, evaluate, pairs, questions
from guestwire.reach.probe import Answer, Probe
from guestwire.reach.report import Expected, Ledger, Report
from guestwire.reach.settle import settle
from guestwire.reach.station import FAMILIES, Station, common_families, target_address
from guestwire.reach.waves import PATIENCE, Surroundings, measure

if TYPE_CHECKING:
    from guestwire.spec import Expectation

__all__ = ["Progress", "check", "judge"]

Progress = Callable[[int, int], None]
"""Is told how many of how many probes are done."""

# Stations: all pairs between two blocks fill a wave one way (12 x 12 pairs, COST entries each), so that each block's
# sockets and neighbour tables are looked at together.
_BLOCK = 12
_CROWD = 128  # stations on a network from which on its floods are spared: fewer cost less than they would save
_NEWS = 512  # probes between two words to `progress`


def check(
    kernel: Kernel,
    stations: Sequence[Station],
    expectations: Sequence[Expectation] = (),
    progress: Progress | None = None,
    members: Callable[[str], Sequence[str]] = alone,
    timeout: float = PATIENCE,
) -> Report:
    """Measure all pairs of the stations, in their order, and judge the expectations.

    `members` says whom a name in an expectation means (`File.members`); `timeout` is in seconds, for one probe.
    Nothing of it remains: neighbour entries, sockets and listeners are taken back, also after an error. Raises
    Unavailable where the kernel's neighbour table is full and stays so, OSError where the kernel refuses to look.
    """
    return _Check(kernel, stations, progress, timeout).report(expectations, members)


def judge(
    kernel: Kernel,
    stations: Sequence[Station],
    expectations: Sequence[Expectation],
    members: Callable[[str], Sequence[str]] = alone,
    timeout: float = PATIENCE,
) -> tuple[Expected, ...]:
    """Judge expectations, and measure no more than they ask; else as `check`.

    Addresses that are tentative yet aren't waited for.
    """
    return _Check(kernel, stations, None, timeout).judged(expectations, members)


class _Check:
    def __init__(self, kernel: Kernel, stations: Sequence[Station], progress: Progress | None, timeout: float) -> None:
        self._kernel = kernel
        self._missing: set[str] = set()
        self._stations = tuple(self._entered(station) for station in stations)
        self._ledger = Ledger(station.name for station in self._stations)
        self._progress = progress
        self._timeout = timeout
        self._done = self._total = 0
        sizes = Counter(network for station in self._stations for network in station.networks)
        self._crowds = {network for network, size in sizes.items() if size > _CROWD}
        # Who asks everybody on a crowded network first, by broadcast, so that the others can be introduced.
        firsts: dict[str, int] = {}
        for place, station in enumerate(self._stations):
            if station.netns is not None:
                for network in station.networks & self._crowds:
                    firsts.setdefault(network, place)
        self._hubs = set(firsts.values())
        self._around = Surroundings(
            frozenset(address for station in self._stations for address in station.addresses()),
            tuple(s.netns for s in self._stations if s.netns is not None and s.kind in ("lab", "outside")),
        )

    def _entered(self, station: Station) -> Station:
        """The station, without its namespace where that isn't there."""
        if station.netns is not None:
            try:
                self._kernel.fd(station.netns)
            except OSError:
                self._missing.add(station.name)
                return replace(station, netns=None)
        return station

    def report(self, expectations: Sequence[Expectation], members: Callable[[str], Sequence[str]]) -> Report:
        by_name = {station.name: station for station in self._stations}
        self._total = self._count() + len(questions(expectations, members, by_name))
        settle(self._kernel, [station.netns for station in self._stations if station.netns is not None])
        self._measure(self._numbers(), self._probe, lambda n, answer: self._ledger.enter(n, *answer))
        self._ask_agents(number for one in range(len(self._stations)) for number in self._from_agent(one))
        self._enter_the_unmeasured()
        found = self._answers(expectations, members, by_name)
        absent = {station.name: station.absent for station in self._stations if station.absent}
        return Report(self._ledger, evaluate(expectations, members, by_name, self._ledger, found), absent)

    def judged(
        self, expectations: Sequence[Expectation], members: Callable[[str], Sequence[str]]
    ) -> tuple[Expected, ...]:
        by_name = {station.name: station for station in self._stations}
        places = {station.name: place for place, station in enumerate(self._stations)}
        asked = [
            (places[source.name], places[target.name])
            for expectation in expectations
            if expectation.port is None
            for source, target in pairs(expectation, members, by_name)
        ]
        numbers = dict.fromkeys(number for one, other in asked for number in self._one_way(one, other))
        self._measure(iter(numbers), self._probe, lambda n, answer: self._ledger.enter(n, *answer))
        places_asked = [
            number for one, other in asked for number in self._ways(one, other) if self._stations[one].agent
        ]
        self._ask_agents(dict.fromkeys(places_asked))
        found = self._answers(expectations, members, by_name)
        return evaluate(expectations, members, by_name, self._ledger, found)

    def _answers(
        self,
        expectations: Sequence[Expectation],
        members: Callable[[str], Sequence[str]],
        by_name: Mapping[str, Station],
    ) -> dict[QuestionKey, Answer]:
        """What came of the port probes."""
        asked = questions(expectations, members, by_name)
        answers: dict[int, Answer] = {}
        agents = [by_name[question.key.source].agent for question in asked]
        ours = [number for number, agent in enumerate(agents) if not agent]
        self._measure(iter(ours), lambda n: asked[n].probe, answers.__setitem__)
        self._by_agents({n: (agent, asked[n].probe) for n, agent in enumerate(agents) if agent}, answers.__setitem__)
        return {question.key: answers[n] for n, question in enumerate(asked)}

    def _measure(
        self, numbers: Iterator[int] | range, probe: Callable[[int], Probe], record: Callable[[int, Answer], None]
    ) -> None:
        def entered(number: int, answer: Answer) -> None:
            record(number, answer)
            self._done += 1
            if self._progress is not None and (self._done % _NEWS == 0 or self._done == self._total):
                self._progress(self._done, self._total)

        measure(self._kernel, numbers, probe, entered, self._around, self._timeout)

    def _count(self) -> int:
        total = 0
        for family in FAMILIES:
            there = sum(family in s.families and not s.absent for s in self._stations)
            senders = sum(family in s.families and s.netns is not None for s in self._stations)
            total += senders * (there - 1)
        return total

    def _numbers(self) -> Iterator[int]:
        size = len(self._stations)
        for hub in sorted(self._hubs):
            for other in range(size):
                if other != hub and not (other in self._hubs and other < hub):
                    yield from self._one_way(hub, other)
                    yield from self._one_way(other, hub)
        for first in range(0, size, _BLOCK):
            for second in range(first, size, _BLOCK):
                pairs = [
                    (one, other)
                    for one in range(first, min(first + _BLOCK, size))
                    for other in range(max(second, one + 1), min(second + _BLOCK, size))
                    if one not in self._hubs and other not in self._hubs
                ]
                # All one way, then all the other: who has just been asked knows the asker's MAC, and would reach it
                # even where its own question for that MAC is never answered.
                for one, other in pairs:
                    yield from self._one_way(one, other)
                for one, other in pairs:
                    yield from self._one_way(other, one)

    def _one_way(self, one: int, other: int) -> Iterator[int]:
        if self._stations[one].netns is not None:
            yield from self._ways(one, other)

    def _ways(self, one: int, other: int) -> Iterator[int]:
        for family in common_families(self._stations[one], self._stations[other]):
            if not self._stations[other].absent:
                yield self._ledger.number(one, other, family)

    def _from_agent(self, one: int) -> Iterator[int]:
        """The ways from a station that its guest agent asks for."""
        for other in range(len(self._stations)) if self._stations[one].agent else ():
            if other != one:
                yield from self._ways(one, other)

    def _ask_agents(self, numbers: Iterable[int]) -> None:
        asked = {}
        for number in numbers:
            asked[number] = (self._stations[self._ledger.split(number)[0]].agent, self._probe(number))
        self._by_agents(asked, lambda number, answer: self._ledger.enter(number, *answer))

    def _by_agents(self, asked: Mapping[int, tuple[str, Probe]], record: Callable[[int, Answer], None]) -> None:
        """Have guest agents ask probes, each the one whose socket is named, and record what came of them."""
        numbers: dict[str, list[int]] = {}
        for number, (agent, _) in asked.items():
            numbers.setdefault(agent, []).append(number)
        found = agents.ask(self._kernel, {path: [asked[n][1] for n in each] for path, each in numbers.items()})
        for path, answers in found.items():
            for number, answer in zip(numbers[path], answers, strict=True):
                record(number, answer)

    def _probe(self, number: int) -> Probe:
        one, other, family = self._ledger.split(number)
        source, target = self._stations[one], self._stations[other]
        address = target_address(source, target, family)
        assert address is not None
        return Probe(
            source.netns or "", address, family, answerer=target.netns, link=self._crowded_link(source, target)
        )

    def _crowded_link(self, source: Station, target: Station) -> str:
        """The source's link on a crowded network that both are on, or ""."""
        shared = (seat.link for seat in source.nics if seat.network in self._crowds and seat.network in target.networks)
        return next(shared, "")

    def _enter_the_unmeasured(self) -> None:
        for one, source in enumerate(self._stations):
            asks = source.netns is not None or bool(source.agent)
            gone = f"the namespace of {source.name} isn't there" if source.name in self._missing else source.why_mute
            for other, target in enumerate(self._stations):
                if one != other and (target.absent or not asks):
                    why = target.absent if asks else gone
                    for family in common_families(source, target):
                        self._ledger.enter(self._ledger.number(one, other, family), None, why)
