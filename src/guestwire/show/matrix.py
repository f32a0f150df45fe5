"""The matrix of a check that a person reads at a glance: who (rows) reaches whom (columns), and what was expected.

A row and column stand for one station, or for the guests of one `count` that behave alike.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from guestwire.reach import Expected, Ledger, Report

__all__ = ["matrix"]

_WIDEST = 20  # columns side by side; what is beyond comes in a panel below
_LINE = 100
_NUMBERED = re.compile(r"(.+)-([1-9][0-9]*)")
_SELF: Final = 255

# What each family found (0 not asked, 1 reached, 2 not, 3 unknown; IPv4 in the upper half byte) as one sign.
_BOTH, _ONLY4, _ONLY6, _NEITHER, _NO_FAMILY, _UNKNOWN, _MIXED = "✓", "4", "6", "·", "–", "?", "~"
_LEGEND = {
    _BOTH: "reached over every family in common",
    _ONLY4: "IPv4 answers, IPv6 doesn't",
    _ONLY6: "IPv6 answers, IPv4 doesn't",
    _NEITHER: "not reached",
    _NO_FAMILY: "no family in common",
    _UNKNOWN: "can't be measured from here",
    _MIXED: "some do, some don't",
}
_GREEN, _YELLOW, _RED, _DIM, _PLAIN = "\x1b[32m", "\x1b[33m", "\x1b[31m", "\x1b[2m", "\x1b[0m"
_COLOURS = {
    _BOTH: _GREEN,
    _ONLY4: _YELLOW,
    _ONLY6: _YELLOW,
    _MIXED: _YELLOW,
    _UNKNOWN: _YELLOW,
    _NEITHER: _RED,
    _NO_FAMILY: _DIM,
}


def matrix(report: Report, colour: bool = False) -> str:
    """The report as text without a newline at its end; escape sequences only where `colour` is asked for."""
    table = _Table(report.pairs)
    paint = _Paint(colour)
    parts = [*_panels(table, paint)] if table.groups else ["There is nobody to ask."]
    verdicts = [expected for expected in report.expectations if not expected.held]
    if verdicts:
        parts.append("\n".join(_verdict(expected, paint) for expected in verdicts))
    said = {expected.why for expected in verdicts}
    absent = [why for why in report.absent.values() if why not in said]
    if absent:
        parts.append("\n".join(absent))
    parts.append(_summary(report))
    return "\n\n".join(parts)


@dataclass(frozen=True)
class _Paint:
    colour: bool

    def __call__(self, text: str, code: str) -> str:
        return f"{code}{text}{_PLAIN}" if self.colour and code else text


class _Table:
    """The signs between groups of stations that behave alike."""

    def __init__(self, pairs: Ledger) -> None:
        self._names = pairs.names
        self._size = size = len(self._names)
        codes = bytearray(a << 4 | b for a, b in zip(pairs.codes(4), pairs.codes(6), strict=True))
        for place in range(size):
            codes[place * size + place] = _SELF
        self._rows = [bytes(codes[place * size : (place + 1) * size]) for place in range(size)]
        self._columns = [bytes(codes[place::size]) for place in range(size)]
        self.groups = self._folded()
        self.labels = [self._label(group) for group in self.groups]

    def sign(self, source: Sequence[int], target: Sequence[int]) -> str:
        """What is between two groups; " " for a single station and itself."""
        found: set[int] = set()
        for place in source:
            found |= self._found(self._rows[place], target)
        signs = {_sign(code) for code in found}
        return signs.pop() if len(signs) == 1 else _MIXED if signs else " "

    @staticmethod
    def _found(line: bytes, group: Sequence[int]) -> frozenset[int]:
        whole = group[-1] - group[0] + 1 == len(group)
        inside = line[group[0] : group[-1] + 1] if whole else bytes(line[place] for place in group)
        return frozenset(inside) - {_SELF}

    def _folded(self) -> list[list[int]]:
        # Guests of one `count` start as one group; a group is split until all its members see, and are seen by, every
        # group in the same way.
        groups: dict[object, list[int]] = {}
        for place, name in enumerate(self._names):
            match = _NUMBERED.fullmatch(name)
            groups.setdefault(match[1] + "-" if match else name, []).append(place)
        while True:
            parts: dict[object, list[int]] = {}
            for number, group in enumerate(groups.values()):
                for place in group:
                    alike = (number,) if len(group) == 1 else (number, *self._view(place, groups.values()))
                    parts.setdefault(alike, []).append(place)
            if len(parts) == len(groups):
                return sorted(groups.values())
            groups = parts

    def _view(self, place: int, groups: Iterable[Sequence[int]]) -> Iterator[frozenset[int]]:
        for group in groups:
            yield self._found(self._rows[place], group)
            yield self._found(self._columns[place], group)

    def _label(self, group: Sequence[int]) -> str:
        names = [self._names[place] for place in group]
        if len(names) == 1:
            return names[0]
        if group[-1] - group[0] + 1 == len(group):
            return f"{names[0]} … {names[-1]}"
        return f"{names[0]} … {names[-1]} ({len(names)} of them)"


def _sign(code: int) -> str:
    four, six = code >> 4, code & 15
    seen = {four, six} - {0}
    if not seen:
        return _NO_FAMILY
    if 3 in seen:
        return _UNKNOWN
    if len(seen) == 1:
        return _BOTH if seen == {1} else _NEITHER
    return _ONLY4 if four == 1 else _ONLY6


def _panels(table: _Table, paint: _Paint) -> Iterator[str]:
    used: set[str] = set()
    count = len(table.groups)
    wide = max(len(label) for label in table.labels)
    digits = len(str(count))
    for start in range(0, count, _WIDEST):
        columns = range(start, min(start + _WIDEST, count))
        heading = "".join(f" {number + 1:>{max(digits, 2)}}" for number in columns)
        lines = [" " * (digits + wide + 2) + heading]
        for row, label in enumerate(table.labels):
            cells = ""
            for column in columns:
                sign = table.sign(table.groups[row], table.groups[column])
                used.add(sign)
                cells += " " * max(digits, 2) + paint(sign, _COLOURS.get(sign, ""))
            lines.append(f"{row + 1:>{digits}}  {label:<{wide}}{cells}".rstrip())
        yield "\n".join(lines)
    yield "\n".join(["Each row asks, the numbered columns answer.", *_legend(used, paint)])


def _legend(used: set[str], paint: _Paint) -> Iterator[str]:
    line, length = "", 0
    for sign, words in _LEGEND.items():
        if sign in used:
            size = len(sign) + 1 + len(words)
            if line and length + 3 + size > _LINE:
                yield line
                line, length = "", 0
            line, length = f"{line}{'   ' if line else ''}{paint(sign, _COLOURS[sign])} {words}", length + 3 + size
    if line:
        yield line


def _verdict(expected: Expected, paint: _Paint) -> str:
    mark = paint("✗", _RED) if expected.held is False else paint("?", _YELLOW)
    return f"{mark} {expected.text}\n    {expected.why}"


def _summary(report: Report) -> str:
    codes = report.pairs.codes(4) + report.pairs.codes(6)
    asked, reached, unknown = len(report.pairs), codes.count(1), codes.count(3)
    text = f"{reached:,} of {_many(asked - unknown, 'way')} measured reached"
    if unknown:
        text += f", {unknown:,} can't be measured from here"
    total = len(report.expectations)
    if not total:
        return f"{text}; nothing was expected."
    held = sum(expected.held is True for expected in report.expectations)
    lacking = sum(expected.held is None for expected in report.expectations)
    if held == total:
        return f"{text}; {'the expectation holds' if total == 1 else f'all {total:,} expectations hold'}."
    failed = total - held - lacking
    if total == 1:
        return f"{text}; the expectation {'failed' if failed else 'cannot be told'}."
    parts = [f"{held:,} of {total:,} expectations hold"]
    parts += [f"{failed:,} failed"] * bool(failed) + [f"{lacking:,} can't be told"] * bool(lacking)
    return f"{text}; {', '.join(parts)}."


def _many(number: int, word: str) -> str:
    return f"{number:,} {word}{'' if number == 1 else 's'}"
