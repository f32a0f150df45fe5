"""Processes that guestwire starts, known again by the file that has their pid, and by its path in their own words.

The pid file's path stands in the process's command line. So a pid that is another's by now isn't taken for it; and one
that has no pid file, since guestwire was killed before it was written or somebody removed it, is found in /proc by that
path and its namespace.
"""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterator

from guestwire.linux.kernel import Kernel
from guestwire.linux.programs import command_line, has_ended

__all__ = ["end", "end_noted", "hang_up", "living"]

STOP = 3  # seconds that a process gets to end when it is asked to


def living(kernel: Kernel, netns: str, pidfile: str) -> Iterator[tuple[int, tuple[str, ...]]]:
    """The process that the pid file tells of, then those that are started with its path; each with its words."""
    for pid in _candidates(kernel, netns, pidfile):
        command = command_line(pid)
        if any(pidfile in word for word in command):  # else it has ended, and the pid is another's by now
            yield pid, command


def _candidates(kernel: Kernel, netns: str, pidfile: str) -> Iterator[int]:
    yield from _noted(pidfile)
    yield from kernel.running(netns, pidfile)


def _noted(pidfile: str) -> Iterator[int]:
    """The pid in a file, if there is one, and it is that of a process with its path in its words."""
    with contextlib.suppress(FileNotFoundError, ValueError), open(pidfile) as file:
        pid = int(file.read())
        if any(pidfile in word for word in command_line(pid)):
            yield pid


def end_noted(pidfile: str) -> None:
    """End one that its pid file tells of yet: it may be in a namespace that has lost its name."""
    for pid in _noted(pidfile):
        end(pid)


def hang_up(pidfile: str) -> None:
    """Have a daemon read its files again (SIGHUP), where it runs."""
    for pid in _noted(pidfile):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGHUP)


def end(pid: int) -> None:
    """End a process: ask, wait for its end up to STOP seconds, then kill. Nothing where it is gone already."""
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        for number in (signal.SIGTERM, signal.SIGKILL):
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(handle, number)
            if has_ended(handle, STOP):
                return
    finally:
        os.close(handle)
