"""The QEMU guest agent, which runs inside a virtual machine: asks it for addresses, has it run commands.

It hears JSON, a line a message, from the host's end of a virtio-serial port (QEMU's interop/qemu-ga-ref). QEMU serves
one connection to that socket at a time and lets the next wait in its backlog, so who asks holds it no longer than HELD.
What an earlier connection asked for may yet be answered into ours. So each begins with `guest-sync-delimited`: the
answer to that comes after a byte 0xFF, which no JSON has in it, and names a number of ours.
"""

from __future__ import annotations

import base64
import contextlib
import errno
import json
import os
import select
import time
from collections.abc import Iterator, Sequence
from types import TracebackType
from typing import Any, NamedTuple, Self

from guestwire.linux.unixsocket import connected

__all__ = ["Agent", "Ended", "Missing", "addresses", "run"]

NOT_EXECUTABLE, NOT_FOUND = 126, 127  # as shells have it (POSIX, 2.8.2)
ANSWER = 10.0  # seconds that an agent that has answered once gets for each answer more
HELD = 2.0  # seconds that the socket is held while a command runs
SOON, LATE = 0.005, 0.25  # seconds between two looks whether it has ended: the first, and the most
DELIMITER = b"\xff"


class Missing(OSError):
    """The agent has no such command, or may not run it: some distributions forbid `guest-exec`."""


class Ended(NamedTuple):
    """A command that has ended in the guest: its code, or 128 and its signal; what it wrote, and whether that's all."""

    code: int
    out: bytes
    err: bytes
    whole: bool


class Agent:
    """A connection to the agent behind the socket at `path`; a context.

    Raises OSError: ENOENT or ECONNREFUSED where no QEMU listens, ETIMEDOUT where no agent answers in so many seconds.
    """

    def __init__(self, path: str, seconds: float) -> None:
        self._until = time.monotonic() + seconds
        self._heard = b""
        self._socket = connected(path, seconds)
        try:
            self._sync()
        except BaseException:
            self._socket.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._socket.close()

    def ask(self, command: str, **arguments: object) -> Any:
        """What the agent returns; an argument's _ stands for -. Raises Missing, or OSError with the agent's words."""
        self._until = time.monotonic() + ANSWER
        return self._ask(command, {name.replace("_", "-"): value for name, value in arguments.items()})

    def _sync(self) -> None:
        number = int.from_bytes(os.urandom(4), "big") >> 1
        request = {"execute": "guest-sync-delimited", "arguments": {"id": number}}
        # The byte before it ends a message that somebody has left unfinished.
        self._send(DELIMITER + json.dumps(request).encode() + b"\n")
        while True:
            while DELIMITER not in self._heard:
                self._hear()
            self._heard = self._heard.rpartition(DELIMITER)[2]
            with contextlib.suppress(ValueError):  # the answer to somebody who has gone, broken off
                if json.loads(self._line()).get("return") == number:
                    return

    def _ask(self, command: str, arguments: dict[str, object]) -> Any:
        self._send(json.dumps({"execute": command, "arguments": arguments}).encode() + b"\n")
        answer = json.loads(self._line())
        if "return" in answer:
            return answer["return"]
        said = answer.get("error", {})
        words = str(said.get("desc", "no reason given"))
        if said.get("class") == "CommandNotFound":
            raise Missing(errno.EOPNOTSUPP, words, command)
        raise OSError(errno.EREMOTEIO, words)

    def _send(self, message: bytes) -> None:
        self._socket.settimeout(self._left())
        try:
            self._socket.sendall(message)
        except TimeoutError:
            raise self._silent() from None

    def _line(self) -> bytes:
        while b"\n" not in self._heard:
            self._hear()
        line, _, self._heard = self._heard.partition(b"\n")
        return line

    def _hear(self) -> None:
        self._socket.settimeout(self._left())
        try:
            heard = self._socket.recv(1 << 20)
        except TimeoutError:
            raise self._silent() from None
        if not heard:
            raise ConnectionResetError(errno.ECONNRESET, "QEMU has ended, or hung up")
        self._heard += heard

    def _left(self) -> float:
        left = self._until - time.monotonic()
        if left <= 0:
            raise self._silent()
        return left

    @staticmethod
    def _silent() -> OSError:
        return TimeoutError(errno.ETIMEDOUT, "no guest agent answers")


def addresses(path: str, seconds: float) -> dict[str, list[str]]:
    """The addresses in the guest with their prefix, by the MACs of its NICs. Raises OSError as Agent does."""
    with Agent(path, seconds) as agent:
        links = agent.ask("guest-network-get-interfaces")
    found: dict[str, list[str]] = {}
    for link in links:
        if mac := link.get("hardware-address"):
            there = (f"{a['ip-address']}/{a['prefix']}" for a in link.get("ip-addresses", ()))
            found.setdefault(mac.lower(), []).extend(there)
    return found


def run(path: str, command: Sequence[str], data: bytes | None, seconds: float) -> Ended:
    """Run a command in the guest, with `data` as its standard input, and wait for its end.

    What it writes is told when it has ended; one that can't be started ends with 127 or 126, as in a shell. Where we
    are interrupted it is too, as far as the agent still answers. Raises OSError as Agent does, and Missing where the
    agent may run none.
    """
    told: dict[str, object] = {} if data is None else {"input_data": base64.b64encode(data).decode()}
    with Agent(path, seconds) as agent:
        try:
            pid = agent.ask("guest-exec", path=command[0], arg=list(command[1:]), capture_output=True, **told)["pid"]
        except OSError as error:
            return _unstarted(command[0], error)
        try:
            found = _wait(agent, pid, HELD)
        except BaseException:
            _interrupt(agent, pid)
            raise
    try:
        while found is None:
            _pause(LATE)
            with Agent(path, ANSWER) as agent:
                found = _wait(agent, pid, 0)
    except BaseException:
        with contextlib.suppress(OSError), Agent(path, ANSWER) as agent:
            _interrupt(agent, pid)
        raise
    return found


def _unstarted(command: str, error: OSError) -> Ended:
    """How a shell would tell of a command that can't be started, of which the agent tells in GLib's words."""
    said = str(error)
    if "Failed to execute child process" not in said:
        raise error
    missing = os.strerror(errno.ENOENT) in said
    why = "command not found" if missing else said.rpartition("(")[2].partition(")")[0]
    return Ended(NOT_FOUND if missing else NOT_EXECUTABLE, b"", f"{command}: {why}\n".encode(), True)


def _wait(agent: Agent, pid: int, seconds: float) -> Ended | None:
    """The command's end, or None where it hasn't come after so many seconds. The agent tells only who asks."""
    until = time.monotonic() + seconds
    for pause in _pauses():
        said = agent.ask("guest-exec-status", pid=pid)
        if said["exited"]:
            code = 128 + said["signal"] if "signal" in said else said.get("exitcode", 0)
            out, err = (base64.b64decode(said.get(name, "")) for name in ("out-data", "err-data"))
            return Ended(code, out, err, not (said.get("out-truncated") or said.get("err-truncated")))
        if time.monotonic() + pause > until:
            return None
        _pause(pause)
    raise AssertionError


def _pauses() -> Iterator[float]:
    pause = SOON
    while True:
        yield pause
        pause = min(pause * 1.5, LATE)


def _pause(seconds: float) -> None:
    select.select([], [], [], seconds)


def _interrupt(agent: Agent, pid: int) -> None:
    with contextlib.suppress(OSError):
        agent.ask("guest-exec", path="kill", arg=["-TERM", str(pid)])
