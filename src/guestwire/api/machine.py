"""console, logs and exec of a virtual machine: its serial console, what that has said, its guest agent."""

from __future__ import annotations

import contextlib
import os
import select
import sys
from collections.abc import Callable, Iterator
from typing import BinaryIO

from guestwire.api.guest import Found, find_guest
from guestwire.daemons import guestagent
from guestwire.daemons.qemu import AGENT, CONSOLE, LOG, STDERR
from guestwire.errors import Busy, Unavailable, UsageError
from guestwire.linux.console import Ended, claim, converse, plain
from guestwire.linux.inotify import CHANGED, LEFT, Watch
from guestwire.linux.unixsocket import connected

__all__ = ["attach", "find_machine", "log", "run_by_agent"]

INPUT = 2.0  # seconds of silence on our standard input after which a person may want to know that we wait for it
MEET = 3.0  # seconds that QEMU gets to take a connection
TAIL = 1 << 16  # bytes of a log that are looked through for an unfinished line


def find_machine(guest: str) -> Found:
    """The guest of that name, which must be a virtual machine. Raises UsageError."""
    found = find_guest(guest)
    if not found.folder:
        message = f"{found.name} is a network namespace: it has no console, and keeps no log."
        raise UsageError(message, hint=f"`guestwire exec {guest} -- sh` has a shell in it.")
    return found


def attach(machine: Found, told: Callable[[], None], *, silent: bool = False) -> Ended:
    """Put this process's standard input and output on the machine's console until one of them ends; which it was.

    With `silent` what the machine says goes to standard error.

    `told` is called once they are. A terminal is as it was afterwards, whatever happens. Raises Busy where somebody is
    on it, Unavailable where its QEMU isn't there.
    """
    with contextlib.ExitStack() as held:
        log = held.enter_context(_opened(machine, LOG))
        if not claim(log.fileno()):
            message = f"the console of {machine.name} is in use: it has room for one."
            raise Busy(
                message, hint=f"Leave it there with Ctrl-]; `guestwire logs --follow {machine.name}` only listens."
            )
        try:
            console = held.enter_context(connected(f"{machine.folder}/{CONSOLE}", MEET))
        except OSError:
            raise _ended(machine) from None
        told()
        out = (sys.stderr if silent else sys.stdout).fileno()
        with contextlib.suppress(OSError):
            if os.isatty(out):
                os.write(out, _unfinished(log.fileno()))
        return converse(console, sys.stdin.fileno(), out)


def log(machine: Found, *, qemu: bool = False, last: int | None = None, follow: bool = False) -> Iterator[str]:
    """The lines that the console has said, or QEMU itself: all or the last so many; then, to `follow`, those to come.

    What only clears, colours or moves about on a terminal is left out. Following ends with the machine.
    """
    name = STDERR if qemu else LOG
    with _opened(machine, name) as file, Watch([machine.folder], CHANGED | LEFT) as watch:
        said = file.read()
        whole, _, rest = said.rpartition(b"\n") if follow else (said, b"", b"")
        lines = plain(whole).splitlines()
        yield from lines if last is None else lines[len(lines) - min(last, len(lines)) :]
        while follow:
            *more, rest = (rest + file.read()).split(b"\n")
            yield from (plain(line).rstrip("\r") for line in more)
            if not os.path.exists(f"{machine.folder}/{name}"):
                return
            select.select([watch], [], [])
            watch.news()


def run_by_agent(machine: Found, command: list[str], patience: float, *, silent: bool) -> int:
    """Run a command in the machine by its agent, with our standard input where that isn't a terminal; its exit code.

    With `silent` nothing comes to our standard output: it goes to standard error.
    """
    data = _piped()
    try:
        ended = guestagent.run(f"{machine.folder}/{AGENT}", command, data, patience)
    except guestagent.Missing:
        message = f"the guest agent of {machine.name} may run no commands."
        hint = "Allow guest-exec in its configuration (/etc/sysconfig/qemu-ga), or use `guestwire console`."
        raise Unavailable(message, hint=hint) from None
    except TimeoutError:
        message = f"no guest agent answers in {machine.name} within {patience:g} s."
        hint = (
            "It may be booting yet (--wait SECONDS). If it has none, install qemu-guest-agent in it, or use "
            f"`guestwire console {machine.name}`."
        )
        raise Unavailable(message, hint=hint) from None
    except (FileNotFoundError, ConnectionError):
        raise _ended(machine) from None
    cut = b"guestwire: the agent keeps 16 MiB of what a command writes; the rest is lost.\n"
    for stream, data in (
        ((sys.stderr if silent else sys.stdout).buffer, ended.out),
        (sys.stderr.buffer, ended.err + (b"" if ended.whole else cut)),
    ):
        stream.write(data)
        stream.flush()
    return ended.code


def _piped() -> bytes | None:
    """All that comes in on our standard input; None where that is a terminal, closed, or nothing."""
    if sys.stdin is None or sys.stdin.isatty():
        return None
    fd, data, told = sys.stdin.fileno(), b"", False
    try:
        while True:
            if not told and not select.select([fd], [], [], INPUT)[0]:
                hint = "waiting for the end of standard input, which the command gets as a whole; `</dev/null` is none."
                sys.stderr.write(f"guestwire: {hint}\n")
                told = True
            if not (more := os.read(fd, 1 << 16)):
                return data or None
            data += more
    except OSError:
        return None


def _unfinished(fd: int) -> bytes:
    """The last line of a log, where it has no end: a prompt, most likely, which the machine won't say again."""
    size = os.fstat(fd).st_size
    return os.pread(fd, TAIL, max(0, size - TAIL)).rpartition(b"\n")[2]


def _opened(machine: Found, name: str) -> BinaryIO:
    try:
        return open(f"{machine.folder}/{name}", "rb")
    except FileNotFoundError:
        raise _ended(machine) from None


def _ended(machine: Found) -> Unavailable:
    """What to say where nobody is behind a socket; with QEMU's own last words."""
    words = ""
    with contextlib.suppress(OSError), open(f"{machine.folder}/{STDERR}", errors="replace") as file:
        words = (file.read().strip().splitlines() or [""])[-1]
    said = f": {words}" if words else "."
    return Unavailable(f"the QEMU of {machine.name} has ended{said}", hint="`guestwire up` starts it anew.")
