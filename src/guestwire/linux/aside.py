"""Do something in namespaces of its own, which end with it: user, mount, network and PID namespaces, and an empty /run.

Three processes are between us and what is done there. The first makes the namespaces, since a process moves itself;
the second is process 1 of the PID namespace, which furnishes the place and takes in orphans; the third does it. When
process 1 ends the kernel kills whatever runs in there, and gives back namespaces, links and mounts with the last of
them (pid_namespaces(7)). Each dies with its parent, so it ends too where we are killed.
"""

from __future__ import annotations

import contextlib
import errno
import os
import pickle
import select
import signal
import struct
from collections.abc import Callable
from typing import Any, NoReturn

from guestwire.linux.child import dies_with_its_parent
from guestwire.linux.userns import furnish, leave

__all__ = ["NoPlace", "do_aside"]

_LENGTH = struct.Struct("=Q")
MORE = 1 << 16


class NoPlace(OSError):
    """There could be no such namespaces, or what was there has been killed (ECHILD); `filename` says what failed."""


def do_aside(do: Callable[[], Any], *, user: bool) -> Any:
    """What `do` returns, done by a child in namespaces of its own; with `user`, as root of a user namespace.

    Nothing of it remains, whatever happens: this process returns when the last of those in there has ended. Standard
    output and error are those of this process. What `do` returns, or raises, must be a value that pickle knows. Raises
    NoPlace, and what `do` raises.
    """
    ours, theirs = os.pipe()
    told, telling = os.pipe()
    parent = os.getpid()
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    first = None
    try:
        first = os.fork()
        if first == 0:
            _begin(do, theirs, telling, user, parent)
        os.close(theirs)
        os.close(telling)
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        data = _read_all(ours, first)
    finally:
        signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        if first:
            _end(first, told)
        os.close(ours)
        os.close(told)
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
    if data is None:
        raise NoPlace(errno.ECHILD, "it was killed", "a child in namespaces of its own")
    raised, value = pickle.loads(data)
    if raised:
        raise value
    return value


def _read_all(pipe: int, first: int) -> bytes | None:
    """The answer that comes through the pipe; None where the first process ends without one."""
    handle = os.pidfd_open(first)
    try:
        answered, either = select.poll(), select.poll()
        answered.register(pipe, select.POLLIN)
        for fd in (pipe, handle):
            either.register(fd, select.POLLIN)
        data = bytearray()
        while len(data) < _LENGTH.size or len(data) < _LENGTH.size + _LENGTH.unpack_from(data)[0]:
            either.poll()  # it may answer and end between the looks at the one and the other
            more = os.read(pipe, MORE) if answered.poll(0) else b""
            data += more
            if not more:
                return None
        return bytes(data[_LENGTH.size :])
    finally:
        os.close(handle)


def _end(first: int, told: int) -> None:
    """End all that is left in there, and see the last of it. No signal may come between."""
    word = os.read(told, 32)  # empty where the first process failed before it had a child
    with contextlib.suppress(ProcessLookupError, ValueError):
        os.kill(int(word), signal.SIGKILL)
    with contextlib.suppress(ChildProcessError):  # who started us has children's ends ignored
        os.waitpid(first, 0)  # it waits for process 1, which the kernel lets go last of all


def _begin(do: Callable[[], Any], answer: int, telling: int, user: bool, parent: int) -> NoReturn:
    """The first process. It keeps all signals blocked, so that only its parent's end or its child's ends it."""
    code = 1
    try:
        os.setsid()  # a terminal's Ctrl-C is our parent's to act on
        dies_with_its_parent()
        leave(user=user)
        dies_with_its_parent()  # the kernel forgets it with a change of rights
        if os.getppid() != parent:
            os._exit(code)
        go, may = os.pipe()
        second = os.fork()
        if second == 0:
            os.close(may)
            os.close(telling)
            _be_first(do, answer, go, shielded=not user)
        os.write(telling, str(second).encode())
        os.close(telling)
        os.close(answer)
        os.write(may, b"go")
        os.close(may)
        code = os.waitstatus_to_exitcode(os.waitpid(second, 0)[1])
    except OSError as error:
        _answer(answer, (True, NoPlace(error.errno, error.strerror, error.filename)))
    finally:
        os._exit(code & 0xFF)


def _be_first(do: Callable[[], Any], answer: int, go: int, *, shielded: bool) -> NoReturn:
    """Process 1 of the namespaces: its end is the end of all in there."""
    code = 1
    try:
        dies_with_its_parent()
        if not os.read(go, 2):  # our parent is gone already
            os._exit(code)
        os.close(go)
        furnish(shielded=shielded)
        third = os.fork()
        if third == 0:
            _do(do, answer)
        os.close(answer)
        while True:
            pid, status = os.wait()
            if pid == third:
                code = os.waitstatus_to_exitcode(status)
                break
    except OSError as error:
        _answer(answer, (True, NoPlace(error.errno, error.strerror, error.filename)))
    finally:
        os._exit(code & 0xFF)


def _do(do: Callable[[], Any], answer: int) -> NoReturn:
    """The third process. What Ctrl-C and the like would do is undone by nobody here: our parent ends us all."""
    code = 1
    try:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        try:
            found: tuple[bool, Any] = (False, do())
        except Exception as error:
            found = (True, error)
        _answer(answer, found)
        code = 0
    finally:
        os._exit(code)


def _answer(pipe: int, found: tuple[bool, Any]) -> None:
    data = pickle.dumps(found)
    data = memoryview(_LENGTH.pack(len(data)) + data)  # type: ignore[assignment]
    while data:
        data = data[os.write(pipe, data) :]
