"""A daemon that guestwire starts in a namespace; it is known again by the file it keeps its pid in, and its own words.

Daemons are run so that they go into the background themselves, which they do once they are ready or not at all; so a
start that fails is seen, and needs no waiting.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shlex
from dataclasses import dataclass
from typing import ClassVar

from guestwire.daemons import dnsmasq
from guestwire.errors import Problem
from guestwire.kinds.pidfile import end, end_noted, living, says
from guestwire.kinds.thing import Thing
from guestwire.linux.kernel import Kernel
from guestwire.linux.netlink import Socket
from guestwire.linux.programs import run_program
from guestwire.picture import Key, Value, fact, fixed

__all__ = ["Process"]

START = 10  # seconds that a daemon gets to be ready


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Process(Thing):
    """A daemon; `name` is the path of its pid file, which stands in its `command` too.

    The command of one that is in another namespace, since somebody has deleted its own, is empty: none that is wanted.
    """

    KIND: ClassVar[str] = "process"
    RANK: ClassVar[int] = 60
    NAMED: ClassVar[bool] = True
    OUTLASTS: ClassVar[bool] = True

    command: tuple[str, ...] | None = fixed()
    pid: int = fact(0)

    @classmethod
    def read(cls, kernel: Kernel, key: Key) -> Process | None:
        owner = os.path.basename(os.path.dirname(key.name))  # the project whose folder the pid file is in
        pid, command = next(living(kernel, key.netns, key.name), (0, ()))
        if pid and not kernel.is_in(pid, key.netns):
            command = ()
        return cls(netns=key.netns, name=key.name, owner=owner, command=command, pid=pid) if pid else None

    def trial_name(self) -> str:
        return f"{self.KIND} {self.command[0] if self.command else None}"

    def title(self) -> str:
        link = dnsmasq.served(self.command or ())
        return f"DHCP server on {link} (dnsmasq)" if link else f"DHCP server of {self.name}"

    def lacks(self, sock: Socket) -> Problem | None:
        program = self.command[0] if self.command else "sh"
        return self.without(program, dnsmasq.PACKAGE if program == "dnsmasq" else program)

    def create(self, kernel: Kernel) -> None:
        assert self.command is not None
        kernel.flush()
        end_noted(self.name)
        os.makedirs(os.path.dirname(self.name), mode=0o700, exist_ok=True)
        try:
            with kernel.inside(self.netns):
                run_program(self.command, START)
        except OSError as error:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self.name)
            words = error.strerror or ""
            if words.endswith(os.strerror(errno.EADDRINUSE)):  # which a daemon says in words
                raise OSError(errno.EADDRINUSE, words) from None
            raise

    def why_refused(self, number: int) -> str | None:
        if number != errno.EADDRINUSE:
            return super(Process, self).why_refused(number)
        return (
            "Another program answers DHCP or DNS on all links of the host: `ss -lnup` names it. Have it serve its own, "
            "as dnsmasq does with `bind-interfaces` and `interface=`; or leave dhcp out."
        )

    def change(self, kernel: Kernel, seen: Value) -> None:
        """A process has no settings: another command is another process."""

    def delete(self, kernel: Kernel) -> None:
        kernel.flush()
        for pid, _ in living(kernel, self.netns, self.name):
            end(pid, says(self.name))
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
