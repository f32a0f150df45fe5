"""Gathers everything that is wrong with a file, in the file's order, and what was probably meant."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from typing import NamedTuple, Protocol

from guestwire.errors import FileError, Problem
from guestwire.nearest import nearest
from guestwire.printable import quote

__all__ = ["Mark", "Places", "Report", "Where", "meant", "subject"]

SHOWN = 100  # nobody reads more; what is left is counted
ENOUGH = 1000  # a file that is rubbish throughout: stop reading it
Where = tuple[str | int, ...]
"""A path in the file: keys as they are written there, and the index, from 0, of a list's item."""
Hint = str | Callable[[], str | None] | None


class Mark(NamedTuple):
    """A line and a column, from 1."""

    line: int
    column: int


class Places(Protocol):
    """What tells the place of a path (`source.Source`)."""

    @property
    def file(self) -> str: ...

    def place(self, where: Where, key: bool = False) -> Mark: ...


class Report:
    """The problems of one file. Hints may be functions: a search for the nearest name runs for those shown only.

    Whoever adds the thousandth gets FileError there and then, with the first hundred of them.
    """

    def __init__(self, source: Places) -> None:
        self.source = source
        self._found: list[tuple[Mark, str, Hint]] = []

    def __len__(self) -> int:
        return len(self._found)

    def add(self, mark: Mark, message: str, hint: Hint = None) -> None:
        self._found.append((mark, message, hint))
        if len(self._found) == ENOUGH:
            self.settle()

    def at(self, where: Where, message: str, hint: Hint = None, *, key: bool = False) -> None:
        """Add a problem of the value at this path (or of its key); the message gets whose it is in front."""
        self.add(self.source.place(where, key), subject(where, message), hint)

    def extend(self, problems: Iterable[Problem]) -> None:
        for p in problems:
            self.add(Mark(p.line or 0, p.column or 0), p.message, p.hint)

    def problems(self) -> tuple[Problem, ...]:
        """The first hundred by place, and how many more there are."""
        ordered = sorted(self._found, key=lambda found: found[0])
        shown = [
            Problem(text, hint() if callable(hint) else hint, self.source.file, mark.line or None, mark.column or None)
            for mark, text, hint in ordered[:SHOWN]
        ]
        if len(ordered) > SHOWN:
            least = "at least " if len(ordered) >= ENOUGH else ""
            shown.append(Problem(f"… and {least}{len(ordered) - SHOWN:,} more.", None, self.source.file))
        return tuple(shown)

    def settle(self) -> None:
        """Raise FileError if anything was found."""
        if self._found:
            raise FileError(*self.problems())


def subject(where: Where, message: str) -> str:
    """The message with whose it is in front (``network "lan": …``), unless it says so itself."""
    match where:
        case ("networks", name, *_):
            whose = f"network {quote(name)}"
        case ("guests", name, "nics", int(index), *_):
            whose = f"guest {quote(name)}, NIC {index + 1}"
        case ("guests", name, *_):
            whose = f"guest {quote(name)}"
        case ("lab", *_):
            whose = "lab"
        case ("expect", int(index), *_):
            whose = f"expectation {index + 1}"
        case _:
            return message
    return message if message.startswith(whose) else f"{whose}: {message}"


def meant(word: str, known: Collection[str], what: str = "There is") -> str | None:
    """The hint for an unknown word: the nearest one, else the known ones where they are few."""
    if near := nearest(word, known):
        return f"Did you mean {quote(near)}?"
    if 0 < len(known) <= 12:
        return f"{what} {', '.join(quote(k)[1:-1] for k in known)}."
    return None
