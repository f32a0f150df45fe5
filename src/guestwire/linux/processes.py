"""A process is its number and when it started: numbers come again, the two together don't (proc_pid_stat(5))."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["Process", "started"]


def started(pid: int) -> int | None:
    """When process `pid` started, in clock ticks since boot; None if it has ended. With the pid that's one process."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            words = file.read().rpartition(b")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if words[0] in b"ZX" else int(words[19])


class Process(NamedTuple):
    """One process; `start` in clock ticks since boot."""

    pid: int
    start: int

    @classmethod
    def of(cls, pid: int) -> Process | None:
        """The process that has this number now, or None."""
        start = started(pid)
        return None if start is None else cls(pid, start)

    @property
    def lives(self) -> bool:
        """Whether it is there."""
        return started(self.pid) == self.start
