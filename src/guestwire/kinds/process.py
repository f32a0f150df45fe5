"""A daemon that guestwire starts in a namespace; it is known again by the file it keeps its pid in, and its own words.

Daemons are run so that they go into the background themselves, which they do once they are ready or not at all; so a
start that fails is seen, and needs no waiting.

The pid file's path stands in the daemon's command line. So one that has no pid file, since guestwire was killed before
it was written or somebody removed it, is found in /proc by that path and its namespace.
"""

from __future__ import annotations

import contextlib
import os
import shlex
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from guestwire.daemons import dnsmasq
from guestwire.errors import Problem
from guestwire.kinds.thing import Thing
from guestwire.linux.kernel import Kernel
from guestwire.linux.netlink import Socket
from guestwire.linux.programs import command_line, has_ended, run_program
from guestwire.picture import Key, Value, fact, fixed

__all__ = ["Process", "end", "hang_up"]

START, STOP = 10, 3  # seconds that a daemon gets to be ready, and to end


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Process(Thing):
    """A daemon; `name` is the path of its pid file, which stands in its `command` too."""

    KIND: ClassVar[str] = "process"
    RANK: ClassVar[int] = 60
    NAMED: ClassVar[bool] = True

    command: tuple[str, ...] | None = fixed()
    pid: int = fact(0)

    @classmethod
    def read(cls, kernel: Kernel, key: Key) -> Process | None:
        owner = os.path.basename(os.path.dirname(key.name))  # the project whose folder the pid file is in
        pid, command = next(_living(kernel, key), (0, ()))
        return cls(netns=key.netns, name=key.name, owner=owner, command=command, pid=pid) if pid else None

    def trial_name(self) -> str:
        return f"{self.KIND} {self.command[0] if self.command else None}"

    def lacks(self, sock: Socket) -> Problem | None:
        program = self.command[0] if self.command else "sh"
        return self.without(program, dnsmasq.PACKAGE if program == "dnsmasq" else program)

    def create(self, kernel: Kernel) -> None:
        assert self.command is not None
        kernel.flush()
        self.end_old()
        os.makedirs(os.path.dirname(self.name), mode=0o700, exist_ok=True)
        try:
            with kernel.inside(self.netns):
                run_program(self.command, START)
        except OSError:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self.name)
            raise

    def end_old(self) -> None:
        """End one that its pid file tells of yet: it may be in a namespace that has lost its name."""
        for pid in _noted(self.name):
            if any(self.name in word for word in command_line(pid)):
                end(pid)

    def change(self, kernel: Kernel, seen: Value) -> None:
        """A process has no settings: another command is another process."""

    def delete(self, kernel: Kernel) -> None:
        kernel.flush()
        for pid, _ in _living(kernel, self.key):
            end(pid)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.name)

    def create_commands(self) -> list[str]:
        where = f"ip netns exec {self.netns} " if self.netns else ""
        folder = shlex.quote(os.path.dirname(self.name))
        return [f"mkdir -p {folder}", where + shlex.join(self.command or ())]

    def change_commands(self, seen: Value) -> list[str]:
        return []

    def delete_commands(self) -> list[str]:
        return [f"kill $(cat {shlex.quote(self.name)})"]

    def uses(self) -> tuple[tuple[str, str], ...]:
        link = dnsmasq.served(self.command or ())
        return ((self.netns, link),) if link else ()

    def namespaces(self) -> tuple[str, ...]:
        return ()  # it outlives its namespace's name


def _living(kernel: Kernel, key: Key) -> Iterator[tuple[int, tuple[str, ...]]]:
    """The process that the pid file tells of, then those that are started with its path; each with its words."""
    for pid in _candidates(kernel, key):
        command = command_line(pid)
        if any(key.name in word for word in command):  # else it has ended, and the pid is another's by now
            yield pid, command


def _candidates(kernel: Kernel, key: Key) -> Iterator[int]:
    yield from _noted(key.name)
    yield from kernel.running(key.netns, key.name)


def hang_up(pidfile: str) -> None:
    """Have a daemon read its files again (SIGHUP), where it runs."""
    for pid in _noted(pidfile):
        if any(pidfile in word for word in command_line(pid)):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGHUP)


def _noted(pidfile: str) -> Iterator[int]:
    """The pid in a file, if there is one."""
    with contextlib.suppress(FileNotFoundError, ValueError), open(pidfile) as file:
        yield int(file.read())


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
