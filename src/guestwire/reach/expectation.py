"""Judges the file's expectations by what was measured, and says which port probes they need besides the matrix."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from guestwire.reach.probe import Answer, Probe, ProbeProto
from guestwire.reach.report import Expected, Ledger
from guestwire.reach.station import Family, Station, common_families, target_address

if TYPE_CHECKING:
    from guestwire.spec import Expectation

__all__ = ["Question", "QuestionKey", "alone", "evaluate", "pairs", "questions"]

Members = Callable[[str], Sequence[str]]
_EXAMPLES = 3  # pairs named in a reason


class QuestionKey(NamedTuple):
    """What a port probe is known by: who asks whom, over which family, on which port."""

    source: str
    target: str
    family: Family
    proto: ProbeProto
    port: int


class Question(NamedTuple):
    """A port probe that an expectation needs."""

    key: QuestionKey
    probe: Probe


def alone(name: str) -> tuple[str, ...]:
    """Whom a name means where there is no `count`: itself."""
    return (name,)


def questions(expectations: Sequence[Expectation], members: Members, stations: Mapping[str, Station]) -> list[Question]:
    """The port probes that the expectations need, each once; ICMP echo is in the matrix."""
    found: dict[QuestionKey, Question] = {}
    for expectation in expectations:
        if expectation.proto is None or expectation.port is None:
            continue
        for source, target in pairs(expectation, members, stations):
            for family in common_families(source, target):
                address = target_address(source, target, family)
                if (source.netns is None and not source.agent) or target.absent or address is None:
                    continue
                key = QuestionKey(source.name, target.name, family, expectation.proto, expectation.port)
                door = target.door(key.proto, key.port, family)
                probe = Probe(source.netns or "", address, family, key.proto, key.port, target.netns, target.can_listen)
                if door is not None:
                    probe = probe._replace(answerer=door.netns, listen=True, behind=(door.address, door.behind))
                found.setdefault(key, Question(key, probe))
    return list(found.values())


def evaluate(
    expectations: Sequence[Expectation],
    members: Members,
    stations: Mapping[str, Station],
    ledger: Ledger,
    answers: Mapping[QuestionKey, Answer],
) -> tuple[Expected, ...]:
    """Each expectation judged.

    `A reaches B` holds when every family in which both have a global address answers, for each that the names mean, and
    not when there is no such family. `A does not reach B` holds when none answers.
    """
    judge = _Judge(members, stations, ledger, answers)
    return tuple(judge.judged(expectation) for expectation in expectations)


def pairs(
    expectation: Expectation, members: Members, stations: Mapping[str, Station]
) -> Iterator[tuple[Station, Station]]:
    """Whom an expectation means: each asker with each that is asked."""
    for source in members(expectation.source):
        for target in members(expectation.target):
            if source != target and source in stations and target in stations:
                yield stations[source], stations[target]


class _Judge(NamedTuple):
    members: Members
    stations: Mapping[str, Station]
    ledger: Ledger
    answers: Mapping[QuestionKey, Answer]

    def judged(self, expectation: Expectation) -> Expected:
        """The expectation with whether it held, and why."""
        for name in (expectation.source, expectation.target):
            for member in self.members(name) or (name,):
                station = self.stations.get(member)
                if station is None:
                    return Expected(expectation.text, None, f"there is no {member} here")
                if station.absent:
                    return Expected(expectation.text, None, station.absent)
                if station.netns is None and not station.families:
                    return Expected(expectation.text, None, f"nothing says which address {member} has here")
        meant = list(pairs(expectation, self.members, self.stations))
        if not meant:
            return Expected(expectation.text, None, f"{expectation.source} is nobody but {expectation.target}")
        seen = [(f"{s.name} → {t.name}", answer) for s, t in meant for answer in self._answers(expectation, s, t)]
        return Expected(expectation.text, *_verdict(expectation.reaches, seen))

    def _answers(self, expectation: Expectation, source: Station, target: Station) -> Iterator[Answer]:
        families = common_families(source, target)
        if not families:
            bare = [station.name for station in (source, target) if not station.families]
            common = f"{source.name} and {target.name} have no address family in common"
            yield Answer(False, " and ".join(f"{name} has no address" for name in bare) or common)
        for family in families:
            if expectation.proto is None or expectation.port is None:
                pair = self.ledger.get(source.name, target.name, family)
                found = Answer(pair.measured, pair.why) if pair is not None else None
            else:
                key = QuestionKey(source.name, target.name, family, expectation.proto, expectation.port)
                found = self.answers.get(key)
            yield found or Answer(None, source.why_mute)


def _verdict(reaches: bool, seen: Sequence[tuple[str, Answer]]) -> tuple[bool | None, str]:
    against = [f"{who}: {answer.why}" for who, answer in seen if answer.reached is (not reaches)]
    if against:
        return False, _listed(against, len(seen))
    unknown = [f"{who}: {answer.why}" for who, answer in seen if answer.reached is None]
    if unknown:
        return None, _listed(unknown, len(seen))
    return True, _listed([f"{who}: {answer.why}" for who, answer in seen], len(seen))


def _listed(reasons: Sequence[str], asked: int) -> str:
    # In one line, since it may be one of thousands: the first few and how many there are.
    more = len(reasons) - _EXAMPLES
    text = "; ".join(dict.fromkeys(reasons[:_EXAMPLES]))
    return f"{text}; and {more} more of {asked}" if more > 0 else text
