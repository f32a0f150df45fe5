"""Processes that guestwire starts, known again by the file that has their pid, and by its path in their own words.

The pid file's path stands in the process's command line. So a pid that is another's by now isn't taken for it; and one
that has no pid file, since guestwire was killed before it was written or somebody removed it, is found in /proc: it is
in its namespace, and told to keep its pid there. It is signalled by a pidfd, and looked at once more when that is open:
from then on it is that process and no other (pidfd_open(2)).
"""

from __future__ import annotations

import contextlib
import itertools
import signal
from collections.abc import Callable, Iterator

from guestwire.linux.kernel import Kernel
from guestwire.linux.processes import held
from guestwire.linux.programs import command_line, has_ended

__all__ = ["end", "end_noted", "hang_up", "living", "noted", "says"]

PID_OPTIONS = ("-p", "-pidfile")  # udhcpc's and QEMU's; others have theirs in one word
STOP = 3  # seconds that a process gets to end when it is asked to


def living(kernel: Kernel, netns: str, pidfile: str) -> Iterator[tuple[int, tuple[str, ...]]]:
    """The process that the pid file tells of, then those that are started with its path; each with its words."""
    for pid in _candidates(kernel, netns, pidfile):
        command = command_line(pid)
        if _has(command, pidfile):  # else it has ended, and the pid is another's by now
            yield pid, command


def _has(command: tuple[str, ...], path: str) -> bool:
    return any(path in word for word in command)


def says(path: str) -> Callable[[int], bool]:
    """What tells whether a process has a path in its words."""
    return lambda pid: _has(command_line(pid), path)


def _candidates(kernel: Kernel, netns: str, pidfile: str) -> Iterator[int]:
    yield from noted(pidfile)
    yield from (pid for pid in kernel.running(netns, pidfile) if _keeps(command_line(pid), pidfile))


def _keeps(command: tuple[str, ...], path: str) -> bool:
    """Whether a process is told to keep its pid there, rather than to show that file, say."""
    told = itertools.pairwise(command)
    return any(word.endswith(f"={path}") or (word == path and option in PID_OPTIONS) for option, word in told)


def noted(pidfile: str) -> Iterator[int]:
    """The pid in a file, if there is one, and it is that of a process with its path in its words."""
    with contextlib.suppress(FileNotFoundError, ValueError), open(pidfile) as file:
        pid = int(file.read())
        if says(pidfile)(pid):
            yield pid


def end_noted(pidfile: str) -> None:
    """End one that its pid file tells of yet: it may be in a namespace that has lost its name."""
    for pid in noted(pidfile):
        end(pid, says(pidfile))


def hang_up(pidfile: str) -> None:
    """Have a daemon read its files again (SIGHUP), where it runs."""
    for pid in noted(pidfile):
        with held(pid, says(pidfile)) as handle:
            if handle is not None:
                signal.pidfd_send_signal(handle, signal.SIGHUP)


def end(pid: int, is_it: Callable[[int], bool]) -> None:
    """End a process: ask, wait for its end up to STOP seconds, then kill. Nothing where it is gone already."""
    with held(pid, is_it) as handle:
        if handle is None:
            return
        for number in (signal.SIGTERM, signal.SIGKILL):
            signal.pidfd_send_signal(handle, number)
            if has_ended(handle, STOP):
                return
