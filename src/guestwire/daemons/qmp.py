"""QMP, by which a running QEMU is asked and told: commands and events as JSON over a UNIX socket, each with a deadline.

The PyPI library `qemu.qmp` speaks it; it is asyncio's, and loaded only where there is a virtual machine. Here it is
made synchronous: a `Monitor` is one conversation, a `survey` many short ones at once.

QEMU talks to one at a time on a socket; who comes second is greeted once the first has gone. So conversations are
short, and nobody keeps one. A socket that was listening before QEMU was started takes connections before QEMU greets:
to be greeted is to know that it is ready.

A QEMU may fall silent in the middle. The library then waits for it also as it is cancelled; so a conversation whose
time is over has its socket shut down first.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import socket
import time
from collections.abc import Coroutine, Mapping, Sequence
from contextlib import suppress
from types import TracebackType
from typing import Any, Self, TypeVar

from qemu.qmp import EventListener, ExecuteError, QMPClient, QMPError

from guestwire.linux.unixsocket import connected

__all__ = ["ANSWER", "Monitor", "Question", "survey"]

ANSWER = 3.0
"""Seconds that a QEMU which isn't just starting gets to answer: its main loop never waits for a guest."""
AGAIN = 0.02  # seconds until a place in its queue is looked for again, of which nobody tells
CLEAR = 1.0  # seconds for what is left of a conversation to end, with its socket shut down

PM1_ENABLE = (0x602, 0xB002)  # as SeaBIOS, and as OVMF lay out the PC's power management
POWER_BUTTON = 0x100
UNMAPPED = 0xFFFF

# What the library writes to its log are the errors that it raises as well.
logging.getLogger("qemu.qmp").addHandler(logging.NullHandler())
logging.getLogger("qemu.qmp").propagate = False

T = TypeVar("T")
Question = tuple[str, dict[str, Any]]
"""A command and its arguments."""


class _Talk:
    """A connection with the library's client on it."""

    def __init__(self) -> None:
        self.client = QMPClient("guestwire")
        self.socket: socket.socket | None = None

    async def meet(self, path: str, seconds: float) -> None:
        """Connect, and be greeted. A QEMU takes few into its queue, which fill it while it hangs."""
        while self.socket is None:
            try:
                self.socket = connected(path, seconds)
            except BlockingIOError:
                await asyncio.sleep(AGAIN)
        await self.client.connect(self.socket)

    async def bounded(self, doing: Coroutine[Any, Any, T], seconds: float) -> T:
        """What a coroutine returns in so many seconds; what the library raises as OSError."""
        task = asyncio.ensure_future(doing)
        done, _ = await asyncio.wait([task], timeout=seconds)
        if not done:
            self.cut()
            task.cancel()
            await asyncio.wait([task], timeout=CLEAR)
            raise TimeoutError(errno.ETIMEDOUT, f"QEMU didn't answer for {seconds:g} s")
        try:
            return task.result()
        except ExecuteError as error:
            raise OSError(errno.EREMOTEIO, f"QEMU says: {str(error).rstrip('.')}") from error
        except (QMPError, EOFError, AssertionError) as error:  # the last where QEMU ends just as it has greeted
            raise ConnectionResetError(errno.ECONNRESET, "QEMU has ended, or never began") from error

    def cut(self) -> None:
        """Have nobody wait for an answer any more."""
        if self.socket is not None:
            with suppress(OSError):
                self.socket.shutdown(socket.SHUT_RDWR)

    async def part(self) -> None:
        """End it; nothing is raised."""
        with suppress(OSError):  # QEMU has ended meanwhile
            await self.bounded(self.client.disconnect(), CLEAR)
        if self.socket is not None:
            self.socket.close()


class Monitor:
    """A conversation with the QEMU whose QMP socket is at `path`; closed by `close`, or as a context manager.

    `seconds` are for its greeting. All methods raise OSError: EREMOTEIO with QEMU's words where it refuses a command,
    ETIMEDOUT where it is silent, which ends the conversation, ConnectionError where it isn't there, or has just ended.
    """

    def __init__(self, path: str, seconds: float = ANSWER) -> None:
        self._loop = _begun()
        self._talk = _Talk()
        self._client = self._talk.client
        self._events = EventListener()
        self._client.register_listener(self._events)
        try:
            self._do(self._talk.meet(path, seconds), seconds)
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the conversation; nothing is raised."""
        self._loop.run_until_complete(self._talk.part())
        _end(self._loop)

    def ask(self, command: str, arguments: dict[str, Any] | None = None, seconds: float = ANSWER) -> Any:
        """What QEMU answers to a command."""
        return self._do(self._client.execute(command, arguments), seconds)

    def hears_power_button(self) -> bool:
        """Whether the guest listens for its power button, as its PM1 enable register says (ACPI 6.5, 4.8.3.1.2)."""
        for port in PM1_ENABLE:
            said = str(self.ask("human-monitor-command", {"command-line": f"i/h {port:#x}"}))
            value = int(said.partition("=")[2] or "0", 16)
            if value != UNMAPPED:
                return bool(value & POWER_BUTTON)
        return False

    def hand_over(self, fd: int, name: str) -> None:
        """Give QEMU a descriptor, under a name that later commands say (getfd); the caller closes its own."""

        async def send() -> None:
            self._client.send_fd_scm(fd)
            await self._client.execute("getfd", {"fdname": name})

        self._do(send(), ANSWER)

    def wait_for(self, event: str, about: Mapping[str, Any], seconds: float) -> bool:
        """Whether an event with these data comes in so many seconds, or has come since this conversation began."""

        async def wait() -> bool:
            deadline = self._loop.time() + seconds
            while True:
                try:
                    told = await asyncio.wait_for(self._events.get(), deadline - self._loop.time())
                except TimeoutError:
                    return False
                data: Any = told.get("data", {})
                if told["event"] == event and about.items() <= data.items():
                    return True

        return self._loop.run_until_complete(wait())

    def _do(self, doing: Coroutine[Any, Any, T], seconds: float) -> T:
        return self._loop.run_until_complete(self._talk.bounded(doing, seconds))


def survey(asked: Mapping[str, Sequence[Question]], seconds: float) -> dict[str, list[Any] | OSError]:
    """What each QEMU, by the path of its socket, answers to its questions: all are asked at once.

    In place of the answers of one that was silent or isn't there stands the OSError that says so. What a QEMU refuses
    to answer is None.
    """
    deadline = time.monotonic() + seconds

    async def answers(talk: _Talk, path: str, questions: Sequence[Question]) -> list[Any]:
        await talk.meet(path, seconds)
        found: list[Any] = []
        for command, arguments in questions:
            try:
                found.append(await talk.client.execute(command, arguments))
            except ExecuteError:
                found.append(None)
        return found

    async def one(path: str, questions: Sequence[Question]) -> list[Any] | OSError:
        talk = _Talk()
        try:
            return await talk.bounded(answers(talk, path, questions), max(0.01, deadline - time.monotonic()))
        except OSError as error:
            return error
        finally:
            await talk.part()

    async def everybody() -> list[list[Any] | OSError]:
        return await asyncio.gather(*(one(path, questions) for path, questions in asked.items()))

    loop = _begun()
    try:
        found = loop.run_until_complete(everybody())
    finally:
        _end(loop)
    return dict(zip(asked, found, strict=True))


def _begun() -> asyncio.AbstractEventLoop:
    """A loop that keeps to itself how a conversation was broken off: the library leaves that behind in several
    places."""
    loop = asyncio.new_event_loop()
    loop.set_exception_handler(lambda loop, about: None)
    return loop


def _end(loop: asyncio.AbstractEventLoop) -> None:
    """Close a loop, with what is left of a conversation that was broken off."""
    left = asyncio.all_tasks(loop)
    for task in left:
        task.cancel()
    if left:
        loop.run_until_complete(asyncio.wait(left, timeout=CLEAR))
    loop.close()
