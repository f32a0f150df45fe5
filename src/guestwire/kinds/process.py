"""A daemon that guestwire starts in a namespace; it is known again by the file it keeps its pid in, and its own words.

Daemons are run so that they go into the background themselves, which they do once they are ready or not at all; so a
start that fails is seen, and needs no waiting.
"""

from __future__ import annotations

import contextlib
import os
import select
import shlex
import signal
from dataclasses import dataclass
from typing import ClassVar

from guestwire.daemons import dnsmasq
from guestwire.kinds.thing import Thing
from guestwire.linux.kernel import Kernel
from guestwire.linux.programs import run_program
from guestwire.picture import Key, Value, fact, fixed

__all__ = ["Process", "end", "hang_up"]

START, STOP = 10, 3  # seconds that a daemon gets to be ready, and to end


@dataclass(frozen=True, slots=True, kw_only=True)
class Process(Thing):
    """A daemon; `name` is the path of its pid file, which stands in its `command` too."""

    KIND: ClassVar[str] = "process"
    RANK: ClassVar[int] = 60
    NAMED: ClassVar[bool] = True

    command: tuple[str, ...] | None = fixed()
    pid: int = fact(0)

    @classmethod
    def read(cls, kernel: Kernel, key: Key) -> Process | None:
        running = _running(key.name)
        if running is None:
            return None
        pid, command = running
        owner = os.path.basename(os.path.dirname(key.name))  # the project whose folder the pid file is in
        return cls(netns=key.netns, name=key.name, owner=owner, command=command, pid=pid)

    def program(self) -> tuple[str, str] | None:
        words = self.command or ("",)
        return words[0], dnsmasq.PACKAGE if words[0] == "dnsmasq" else words[0]

    def create(self, kernel: Kernel) -> None:
        assert self.command is not None
        kernel.flush()
        os.makedirs(os.path.dirname(self.name), mode=0o700, exist_ok=True)
        try:
            with kernel.inside(self.netns):
                run_program(self.command, START)
        except OSError:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self.name)
            raise

    def change(self, kernel: Kernel, seen: Value) -> None:
        """A process has no settings: another command is another process."""

    def delete(self, kernel: Kernel) -> None:
        kernel.flush()
        running = self.read(kernel, self.key)
        if running is not None:
            end(running.pid)
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

    def namespaces(self) -> tuple[str, ...]:
        return ()  # it outlives its namespace's name


def hang_up(pidfile: str) -> None:
    """Have a daemon read its files again (SIGHUP), where it runs."""
    running = _running(pidfile)
    if running is not None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(running[0], signal.SIGHUP)


def _running(pidfile: str) -> tuple[int, tuple[str, ...]] | None:
    """The pid and command of a daemon by its pid file; None where none runs that has the file's name in its words."""
    try:
        with open(pidfile) as file:
            pid = int(file.read())
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            command = tuple(word.decode(errors="replace") for word in file.read().split(b"\0")[:-1])
    except (FileNotFoundError, ProcessLookupError, ValueError):
        return None
    return (pid, command) if any(pidfile in word for word in command) else None  # the pid may be another's by now


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
            ended = select.poll()  # select knows no descriptor beyond 1,023, and we may hold thousands
            ended.register(handle, select.POLLIN)
            if ended.poll(STOP * 1000):
                return
    finally:
        os.close(handle)
