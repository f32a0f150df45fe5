"""Where the namespace of a guest is that somebody else keeps, as far as that is known."""

from __future__ import annotations

from typing import NamedTuple

from guestwire.linux.processes import Process

__all__ = ["Absent", "Found"]


class Found(NamedTuple):
    """The file of the namespace, and the process that keeps it; None where only the file is known."""

    file: str
    process: Process | None


class Absent(NamedTuple):
    """Why there is none, and what to do. `missing` where the tool that would know isn't there, `unknown` where it
    doesn't say."""

    why: str
    hint: str
    missing: bool = False
    unknown: bool = False
