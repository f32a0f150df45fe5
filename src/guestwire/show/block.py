"""Pieces of a text drawing: text at places, put beside and below one another, then written out as lines."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass

__all__ = ["Block", "Span", "lines", "wide"]

STYLES = {
    "name": "1",
    "where": "36",
    "label": "2",
    "address": "32",
    "state": "33",
    "line": "2",
    "mark": "35",
    "fold": "3",
}
"""SGR parameters, ECMA-48."""

Span = tuple[int, int, str, str]
"""Column, row, text and style."""


def wide(text: str) -> int:
    """How many columns a terminal gives the text."""
    if text.isascii():
        return len(text)
    return sum(
        0
        if unicodedata.combining(c) or unicodedata.category(c) in ("Mn", "Me")
        else 1 + (unicodedata.east_asian_width(c) in "WF")
        for c in text
    )


@dataclass(frozen=True, slots=True)
class Block:
    """A piece of the drawing, as wide and high as what is in it."""

    spans: tuple[Span, ...] = ()

    @property
    def width(self) -> int:
        """Columns."""
        return max((x + wide(text) for x, _, text, _ in self.spans), default=0)

    @property
    def height(self) -> int:
        """Rows."""
        return max((y + 1 for _, y, _, _ in self.spans), default=0)

    def at(self, x: int, y: int) -> tuple[Span, ...]:
        """Its spans, moved right and down."""
        return tuple((a + x, b + y, text, style) for a, b, text, style in self.spans)

    def row(self, y: int) -> int:
        """The width of one row."""
        return max((x + wide(text) for x, b, text, _ in self.spans if b == y), default=0)


def lines(spans: Iterable[Span], colour: bool) -> list[str]:
    """The rows as text, with colours where wanted; spans don't overlap."""
    rows: dict[int, list[Span]] = {}
    for span in spans:
        rows.setdefault(span[1], []).append(span)
    found = []
    for y in range(max(rows, default=-1) + 1):
        at, parts = 0, []
        for x, _, text, style in sorted(rows.get(y, [])):
            parts.append(" " * (x - at))
            parts.append(f"\x1b[{STYLES[style]}m{text}\x1b[0m" if colour and style in STYLES else text)
            at = x + wide(text)
        found.append("".join(parts).rstrip())
    return found
