"""What a check found: every pair, every expectation, and the JSON document that cli.md promises.

A thousand guests make two million pairs, so each is kept as a byte and a number, and made into a value when asked for.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from guestwire.reach.station import FAMILIES, Family

__all__ = ["Expected", "Ledger", "Pair", "Report"]

_NONE, _YES, _NO, _UNKNOWN = 0, 1, 2, 3
_MEASURED = {_YES: True, _NO: False, _UNKNOWN: None}
_CODES = {True: _YES, False: _NO, None: _UNKNOWN}


class Pair(NamedTuple):
    """Whether one station reaches another over a family; `measured` None where it can't be told from where we stand."""

    source: str
    target: str
    family: Family
    predicted: bool | None
    measured: bool | None
    why: str

    def to_json(self) -> dict[str, Any]:
        """As cli.md has it."""
        return {
            "from": self.source,
            "to": self.target,
            "family": self.family,
            "predicted": self.predicted,
            "measured": self.measured,
            "why": self.why,
        }


class Expected(NamedTuple):
    """Whether an expectation of the file holds; None where it can't be told."""

    text: str
    held: bool | None
    why: str


class Ledger:
    """The pairs of some stations, in the stations' order; a pair without an entry is one that wasn't asked."""

    def __init__(self, names: Iterable[str]) -> None:
        self.names = tuple(names)
        self._places = {name: place for place, name in enumerate(self.names)}
        size = len(self.names) ** 2 * len(FAMILIES)
        self._codes = bytearray(size)
        self._whys = array("I", bytes(4 * size))
        self._texts = [""]
        self._numbers = {"": 0}

    def enter(self, number: int, measured: bool | None, why: str) -> None:
        """Put in what came of the pair of that number."""
        self._codes[number] = _CODES[measured]
        known = self._numbers.get(why)
        if known is None:
            known = self._numbers[why] = len(self._texts)
            self._texts.append(why)
        self._whys[number] = known

    def number(self, source: int, target: int, family: Family) -> int:
        """The number of a pair, by its stations' places."""
        return (source * len(self.names) + target) * 2 + (family == 6)

    def split(self, number: int) -> tuple[int, int, Family]:
        """The stations' places and the family of the pair of that number."""
        source, target = divmod(number >> 1, len(self.names))
        return source, target, FAMILIES[number & 1]

    def get(self, source: str, target: str, family: Family) -> Pair | None:
        """The pair, where it was asked; raises KeyError where there is no such station."""
        number = self.number(self._places[source], self._places[target], family)
        return self._pair(number) if self._codes[number] else None

    def codes(self, family: Family) -> bytes:
        """A byte for each source and target, row by row: 0 not asked, 1 reached, 2 not reached, 3 can't be told."""
        return bytes(self._codes[FAMILIES.index(family) :: 2])

    def __iter__(self) -> Iterator[Pair]:
        for number, code in enumerate(self._codes):
            if code:
                yield self._pair(number)

    def __len__(self) -> int:
        return len(self._codes) - self._codes.count(_NONE)

    def _pair(self, number: int) -> Pair:
        source, target, family = self.split(number)
        why = self._texts[self._whys[number]]
        return Pair(self.names[source], self.names[target], family, None, _MEASURED[self._codes[number]], why)


@dataclass(frozen=True)
class Report:
    """What a check found."""

    pairs: Ledger
    expectations: tuple[Expected, ...] = ()
    absent: Mapping[str, str] = field(default_factory=dict)
    """Who of the file isn't there, each with why, and what to do."""

    @property
    def disagreements(self) -> int:
        """Pairs for which prediction and measurement differ; 0 as long as nothing is predicted."""
        return 0

    @property
    def held(self) -> bool:
        """Whether every expectation was seen to hold."""
        return all(expected.held for expected in self.expectations)

    @property
    def failed(self) -> bool:
        """Whether an expectation was seen not to hold, or prediction and measurement differ: exit code 1."""
        return any(expected.held is False for expected in self.expectations) or self.disagreements > 0

    @property
    def lacking(self) -> bool:
        """Whether an expectation can't be measured from where we stand: exit code 69, unless one failed."""
        return any(expected.held is None for expected in self.expectations)

    @property
    def code(self) -> int:
        """The exit code of `check`: 1 where something failed, else 69 where something can't be measured, else 0."""
        return 1 if self.failed else 69 if self.lacking else 0

    def to_json(self) -> dict[str, Any]:
        """The document of `check --json`, as cli.md has it."""
        return {
            "pairs": [pair.to_json() for pair in self.pairs],
            "expectations": [expected._asdict() for expected in self.expectations],
            "disagreements": self.disagreements,
            "held": self.held,
            **({"absent": dict(self.absent)} if self.absent else {}),
        }
