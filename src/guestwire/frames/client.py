"""Asks the process that holds a project's cables, by its socket; starts it where there is none.

What it is asked: `add` a cable between two descriptors, `remove` one, `list` them with their labels and counters.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from guestwire.frames.server import PACKET
from guestwire.linux.processes import held
from guestwire.linux.programs import command_line, has_ended, run_program, running

__all__ = ["Counters", "Listed", "add", "holders", "listed", "remove"]

SERVER = "guestwire.frames.server"

START, ANSWER, END = 10, 10, 3  # seconds that the process gets to be ready, to answer, and to be gone


@dataclass(frozen=True)
class Counters:
    """What went one way: frames and bytes carried, and frames dropped."""

    frames: int
    octets: int
    drops: int


@dataclass(frozen=True)
class Listed:
    """A cable as its process tells of it: `out` from its first end to its second, `back` the other way."""

    name: str
    label: Any
    pid: int
    out: Counters
    back: Counters


def add(path: str, name: str, near: int, far: int, label: Any) -> None:
    """Have frames carried between two descriptors, in place of a cable of that name; the caller closes its own.

    Raises OSError, with no cable of that name then where there was none before; a process that was started for it ends.
    """
    with _connected(path) or _started(path) as connection:
        _ask(connection, {"do": "add", "name": name, "label": label}, near, far)


def remove(path: str, name: str) -> bool:
    """Pull out a cable, nothing where there is none; with the last one the process ends, and has ended when we return.

    Whether there was anybody to ask. Raises OSError where it doesn't answer.
    """
    connection = _connected(path)
    if connection is None:
        return False
    with connection:
        try:
            answer = _ask(connection, {"do": "remove", "name": name})
        except ConnectionError:  # it has just ended, and all its cables with it
            return True
    if not answer["left"]:
        _wait_for_end(answer["pid"])
    return True


def holders() -> dict[str, list[int]]:
    """The processes that hold cables, by the paths of their sockets; also of those whose socket somebody deleted."""
    return {
        path: found
        for path, pids in running().items()
        if (found := [pid for pid in pids if command_line(pid)[-2:] == (SERVER, path)])
    }


def listed(path: str) -> Iterator[Listed]:
    """The cables that the process holds; none where there is no process. Raises OSError where it doesn't answer."""
    connection = _connected(path)
    if connection is None:
        return
    with connection:
        first = 0
        with contextlib.suppress(ConnectionError):  # it has just ended, and all its cables with it
            while found := (answer := _ask(connection, {"do": "list", "first": first}))["cables"]:
                for name, label, out, back in found:
                    yield Listed(name, label, answer["pid"], Counters(*out), Counters(*back))
                first += len(found)


def _connected(path: str) -> socket.socket | None:
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    connection.settimeout(ANSWER)
    try:
        connection.connect(path)
    except (FileNotFoundError, ConnectionRefusedError):  # the latter: a socket whose process was killed
        connection.close()
        return None
    except BaseException:
        connection.close()
        raise
    return connection


def _started(path: str) -> socket.socket:
    """A connection to a process that was started for it."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours.settimeout(ANSWER)
    with theirs:
        try:
            os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
            # -P: nothing is imported from the folder that somebody happens to stand in.
            run_program((sys.executable, "-P", "-m", SERVER, path), START, stdin=theirs.fileno())
        except BaseException:
            ours.close()
            raise
    return ours


def _ask(connection: socket.socket, request: dict[str, Any], *fds: int) -> dict[str, Any]:
    socket.send_fds(connection, [json.dumps(request).encode()], fds)
    packet = connection.recv(PACKET)
    if not packet:
        raise ConnectionResetError("the process that holds the cables has ended")
    answer: dict[str, Any] = json.loads(packet)
    if "errno" in answer:
        raise OSError(answer["errno"], answer["error"])
    return answer


def _wait_for_end(pid: int) -> None:
    with held(pid) as handle:
        if handle is not None:
            has_ended(handle, END)
