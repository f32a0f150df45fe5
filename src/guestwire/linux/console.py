"""A serial console on a terminal: what is typed goes to its socket, what it says to the terminal, both as it comes.

The terminal is raw meanwhile: every key, Ctrl-C too, goes to the other side (cfmakeraw in termios(3)), but for ESCAPE,
which leaves. From a pipe every byte goes, and its end ends nothing: the answers are yet to come.
"""

from __future__ import annotations

import contextlib
import enum
import fcntl
import os
import re
import select
import socket
import termios
import tty
from collections.abc import Iterator

from guestwire.signals import asked_to_stop

__all__ = ["ESCAPE", "Ended", "claim", "converse", "plain"]

ESCAPE = b"\x1d"
"""Ctrl-], as telnet and virsh have it."""
AT_ONCE = 1 << 16
# ECMA-48: control sequences, operating system commands, other escapes; then the control characters but tab and newline.
_CONTROL = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|\x1b[ -/]*[0-~]|[\x00-\x08\x0b-\x1f\x7f]"
)


class Ended(enum.Enum):
    """What ended a session: the person, a signal, the machine, or that nobody reads what it says any more."""

    LEFT = "left"
    STOPPED = "stopped"
    GONE = "gone"
    UNREAD = "unread"


def claim(fd: int) -> bool:
    """Whether nobody else had claimed that file, which is ours now until `fd` is closed (flock(2))."""
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def converse(console: socket.socket, source: int, sink: int) -> Ended:
    """Carry what comes from `source` to the console and what it says to `sink`, until one of them ends.

    Where `source` is a terminal it is raw meanwhile, and as it was afterwards, also after a signal.
    """
    with asked_to_stop() as stop, _raw(source) as typed:
        return _Session(console, source, sink, stop, typed).run()


class _Session:
    def __init__(self, console: socket.socket, source: int, sink: int, stop: int, typed: bool) -> None:
        self._console, self._source, self._sink, self._stop, self._typed = console, source, sink, stop, typed
        self._waiting = b""  # what the console hasn't taken yet; meanwhile no more is read
        self._over = False  # whether the source has ended

    def run(self) -> Ended:
        self._console.setblocking(False)
        while True:
            waited = select.poll()
            waited.register(self._stop, select.POLLIN)
            waited.register(self._console, select.POLLIN | (select.POLLOUT if self._waiting else 0))
            waited.register(self._sink, 0)  # of which poll tells that its reader has gone
            if not self._waiting and not self._over:
                waited.register(self._source, select.POLLIN)
            for fd, event in waited.poll():
                if (ended := self._happened(fd, event)) is not None:
                    return ended

    def _happened(self, fd: int, event: int) -> Ended | None:
        if fd == self._stop:
            return Ended.STOPPED
        if fd == self._console.fileno():
            if event & select.POLLOUT:
                self._send()
            return self._show() if event & ~select.POLLOUT else None
        if fd == self._source and event & (select.POLLIN | select.POLLHUP):
            return self._type()
        return Ended.UNREAD if fd == self._sink and event & select.POLLERR else None

    def _type(self) -> Ended | None:
        try:
            data = os.read(self._source, AT_ONCE)
        except OSError:  # a terminal that was closed
            data = b""
        if not data:
            self._over = True
            return Ended.LEFT if self._typed else None
        before, escape, _ = data.partition(ESCAPE) if self._typed else (data, b"", b"")
        self._waiting = before
        self._send()
        return Ended.LEFT if escape else None

    def _send(self) -> None:
        with contextlib.suppress(BlockingIOError, ConnectionError):  # the latter shows as its end when it is read
            self._waiting = self._waiting[self._console.send(self._waiting) :]

    def _show(self) -> Ended | None:
        try:
            data = self._console.recv(AT_ONCE)
        except BlockingIOError:
            return None
        except ConnectionError:
            data = b""
        try:
            while data:
                data = data[os.write(self._sink, data) :]
                if not data:
                    return None
        except BrokenPipeError:
            return Ended.UNREAD
        return Ended.GONE


@contextlib.contextmanager
def _raw(fd: int) -> Iterator[bool]:
    """A terminal's descriptor, raw for a block; whether it is one."""
    try:
        before = termios.tcgetattr(fd)
    except termios.error:
        yield False
        return
    try:
        tty.setraw(fd, termios.TCSANOW)
        yield True
    finally:
        with contextlib.suppress(termios.error):  # it was closed
            termios.tcsetattr(fd, termios.TCSANOW, before)


def plain(said: bytes) -> str:
    """What a console has said as text, without what moves a terminal's cursor, colours or clears it."""
    return _CONTROL.sub("", said.decode(errors="replace").replace("\r\n", "\n"))
