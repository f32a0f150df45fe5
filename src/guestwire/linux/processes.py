"""A process is its number and when it started: numbers come again, the two together don't (proc_pid_stat(5)).

One that keeps a file locked is told by the kernel.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import struct
from collections.abc import Callable, Iterator
from typing import NamedTuple

__all__ = ["Process", "held", "locker", "started"]

_FLOCK = struct.Struct("@hhlli0l")


def started(pid: int) -> int | None:
    """When process `pid` started, in clock ticks since boot; None if it has ended. With the pid that's one process."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            words = file.read().rpartition(b")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if words[0] in b"ZX" else int(words[19])


def locker(path: str) -> int | None:
    """Who has the first byte of a file locked (F_SETLK, fcntl_locking(2)): its pid, 0 where that isn't seen from here.

    None where nobody has, or the file can't be read.
    """
    try:
        with open(path, "rb") as file:
            asked = _FLOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, 0, 1, 0)
            kind, _, _, _, pid = _FLOCK.unpack(fcntl.fcntl(file, fcntl.F_GETLK, asked))
    except OSError:
        return None
    return None if kind == fcntl.F_UNLCK else int(pid)


@contextlib.contextmanager
def held(pid: int, is_it: Callable[[int], bool] = lambda pid: True) -> Iterator[int | None]:
    """A pidfd for a block, None where the process is gone, or `is_it` says that the number is another's by now.

    That the process ends meanwhile is no error.
    """
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        yield None
        return
    try:
        with contextlib.suppress(ProcessLookupError):
            yield handle if is_it(pid) else None
    finally:
        os.close(handle)


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
