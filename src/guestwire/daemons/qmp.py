"""QMP, by which a running QEMU is asked and told: commands and events as JSON over a UNIX socket, each with a deadline.

The PyPI library `qemu.qmp` speaks it; it is asyncio's, and loaded only where there is a virtual machine. Here it is
made synchronous: a `Monitor` is one conversation, a `survey` many short ones at once.

QEMU talks to one at a time on a socket; who comes second is greeted once the first has gone. So conversations are
short, and nobody keeps one. A socket that was listening before QEMU was started takes connections before QEMU greets:
to be greeted is to know that it is ready.
"""

from __future__ import annotations

import asyncio
import errno
import logging
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

# What the library writes to its log are the errors that it raises as well.
logging.getLogger("qemu.qmp").addHandler(logging.NullHandler())
logging.getLogger("qemu.qmp").propagate = False

T = TypeVar("T")
Question = tuple[str, dict[str, Any]]
"""A command and its arguments."""


class Monitor:
    """A conversation with the QEMU whose QMP socket is at `path`; closed by `close`, or as a context manager.

    `seconds` are for its greeting. All methods raise OSError: EREMOTEIO with QEMU's words where it refuses a command,
    ETIMEDOUT where it is silent, ConnectionError where it isn't there, or has just ended.
    """

    def __init__(self, path: str, seconds: float = ANSWER) -> None:
        self._loop = asyncio.new_event_loop()
        self._client = QMPClient("guestwire")
        self._events = EventListener()
        self._client.register_listener(self._events)
        try:
            self._do(_meet(self._client, path, seconds), seconds)
        except BaseException:
            _end(self._loop)
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the conversation; nothing is raised."""
        with suppress(OSError):  # QEMU has ended meanwhile
            self._do(self._client.disconnect(), ANSWER)
        _end(self._loop)

    def ask(self, command: str, arguments: dict[str, Any] | None = None, seconds: float = ANSWER) -> Any:
        """What QEMU answers to a command."""
        return self._do(self._client.execute(command, arguments), seconds)

    def hand_over(self, fd: int, name: str) -> None:
        """Give QEMU a descriptor, under a name that later commands say (getfd); the caller closes its own."""

        async def send() -> None:
            self._client.send_fd_scm(fd)
            await self._client.execute("getfd", {"fdname": name})

        self._do(send(), ANSWER)

    def wait_for(self, event: str, about: Mapping[str, Any], seconds: float) -> bool:
        """Whether an event with these data comes in so many seconds, or has come since this conversation began."""

        async def wait() -> None:
            async for told in self._events:
                data: Any = told.get("data", {})
                if told["event"] == event and about.items() <= data.items():
                    return

        try:
            self._do(wait(), seconds)
        except TimeoutError:
            return False
        return True

    def _do(self, doing: Coroutine[Any, Any, T], seconds: float) -> T:
        return self._loop.run_until_complete(_translated(doing, seconds))


async def _meet(client: QMPClient, path: str, seconds: float) -> None:
    sock = connected(path, seconds)
    try:
        await client.connect(sock)
    except BaseException:
        sock.close()
        raise


def _end(loop: asyncio.AbstractEventLoop) -> None:
    """Close a loop, with what is left of a conversation that was broken off."""
    left = asyncio.all_tasks(loop)
    for task in left:
        task.cancel()
    if left:
        loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
    loop.close()


async def _translated(doing: Coroutine[Any, Any, T], seconds: float) -> T:
    """What a coroutine returns, in so many seconds; what the library raises as OSError."""
    try:
        return await asyncio.wait_for(doing, seconds)
    except ExecuteError as error:
        raise OSError(errno.EREMOTEIO, f"QEMU says: {str(error).rstrip('.')}") from error
    except TimeoutError as error:
        raise TimeoutError(errno.ETIMEDOUT, f"QEMU didn't answer for {seconds:g} s") from error
    except (QMPError, EOFError) as error:
        raise ConnectionResetError(errno.ECONNRESET, "QEMU has ended, or never began") from error


def survey(asked: Mapping[str, Sequence[Question]], seconds: float) -> dict[str, list[Any] | OSError]:
    """What each QEMU, by the path of its socket, answers to its questions: all are asked at once.

    In place of the answers of one that was silent or isn't there stands the OSError that says so. What a QEMU refuses
    to answer is None.
    """

    async def one(path: str, questions: Sequence[Question]) -> list[Any]:
        client = QMPClient("guestwire")
        await _meet(client, path, seconds)
        answers: list[Any] = []
        for command, arguments in questions:
            try:
                answers.append(await client.execute(command, arguments))
            except ExecuteError:
                answers.append(None)
        await client.disconnect()
        return answers

    async def guarded(path: str, questions: Sequence[Question]) -> list[Any] | OSError:
        try:
            return await _translated(one(path, questions), left())
        except OSError as error:
            return error

    async def everybody() -> list[list[Any] | OSError]:
        return await asyncio.gather(*(guarded(path, questions) for path, questions in asked.items()))

    deadline = time.monotonic() + seconds

    def left() -> float:
        return max(0.01, deadline - time.monotonic())

    loop = asyncio.new_event_loop()
    try:
        found = loop.run_until_complete(everybody())
    finally:
        _end(loop)
    return dict(zip(asked, found, strict=True))
