"""Every error that reaches a user, and the exit code it ends in.

    GuestwireError            70   a defect of ours, when raised as itself
     ├─ Rejected               1   a guard or an expectation says no to a change; all was undone
     ├─ UsageError            64   the command's words are off
     ├─ FileError             65   the file is wrong, or wrong for this host
     ├─ Unavailable           69   this kernel or machine lacks something needed
     ├─ Refused               71   the kernel or a daemon refused a step; all was undone
     ├─ Busy                  75   another guestwire is at work, or an unsettled journal lies here
     ├─ NotPermitted          77   not permitted
     └─ Interrupted          130   Ctrl-C or SIGTERM; all was undone

An error carries one or more `Problem`: what is wrong, where, and what to do about it. The exit codes are `cli.md`'s.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from guestwire.printable import printable

__all__ = [
    "Busy",
    "FileError",
    "GuestwireError",
    "Interrupted",
    "NotPermitted",
    "Problem",
    "Refused",
    "Rejected",
    "Unavailable",
    "UsageError",
]


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong: the message says what and why, the hint what to do; line and column count from 1."""

    message: str
    hint: str | None = None
    file: str | None = None
    line: int | None = None
    column: int | None = None

    def __str__(self) -> str:
        place = ":".join(str(part) for part in (self.file, self.line, self.column) if part is not None)
        text = f"{place}: {self.message}" if place else self.message
        return printable(f"{text} {self.hint}" if self.hint else text)


class GuestwireError(Exception):
    """Something a user is told about, with one problem or several; `details` is what its JSON has besides."""

    code: ClassVar[int] = 70
    details: Mapping[str, Any] = {}

    def __init__(self, *problems: Problem | str, hint: str | None = None) -> None:
        self.problems = tuple(p if isinstance(p, Problem) else Problem(p, hint) for p in problems)
        super().__init__("\n".join(str(p) for p in self.problems))

    def __reduce__(self) -> tuple[type[GuestwireError], tuple[Problem, ...]]:
        """What pickle makes it of again, in another process."""
        return type(self), self.problems


class Rejected(GuestwireError):
    """A guard or an expectation says no to a change, and all was undone; or nothing waits for what is asked."""

    code = 1


class UsageError(GuestwireError):
    """The command's words are off."""

    code = 64


class FileError(GuestwireError):
    """The file is wrong, or wrong for this host."""

    code = 65


class Unavailable(GuestwireError):
    """This kernel or machine lacks something that is needed."""

    code = 69


class Refused(GuestwireError):
    """The kernel or a daemon refused a step, and all was undone."""

    code = 71


class Busy(GuestwireError):
    """Another guestwire is at work on this host, or an unsettled journal lies there."""

    code = 75


class NotPermitted(GuestwireError):
    """Not permitted."""

    code = 77


class Interrupted(GuestwireError):
    """Interrupted, and all was undone."""

    code = 130
