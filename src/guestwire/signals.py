"""Ctrl-C and SIGTERM during a change: noted, and acted on between two steps, where an undo can start.

Once a change is whole it is too late to stop it, and a program that ended with 130 then would say that all was undone.
"""

from __future__ import annotations

import contextlib
import signal
import socket
from collections.abc import Iterator
from types import FrameType

__all__ = ["SIGNALS", "Stop", "asked_to_stop", "begin", "interrupt", "is_interrupted", "is_late", "noted", "too_late"]

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

_late = _interrupted = False


class Stop:
    """Whether somebody has asked us to stop; where it `interrupts`, whoever is waited for is not waited for longer."""

    asked = False
    interrupts = False

    def note(self, number: int, frame: FrameType | None) -> None:
        """Take note of a signal: a handler for `signal.signal`."""
        self.asked = True
        if self.interrupts:
            self.interrupts = False
            raise KeyboardInterrupt


def begin() -> None:
    """Say that a command begins: nobody has interrupted it, and nothing is done."""
    global _late, _interrupted  # noqa: PLW0603  a signal's handler has nobody else to ask
    _late = _interrupted = False


def too_late(late: bool = True) -> None:
    """Say that what was asked for is done, so that `interrupt` does nothing from now on; or that it is to begin."""
    global _late  # noqa: PLW0603  a signal's handler has nobody else to ask
    _late = late


def is_late() -> bool:
    """Whether what was asked for is done."""
    return _late


def interrupt(number: int, frame: FrameType | None) -> None:
    """End what is being done by a KeyboardInterrupt, unless it is too late: a handler for `signal.signal`."""
    global _interrupted  # noqa: PLW0603
    if not _late:
        _interrupted = True
        raise KeyboardInterrupt


def is_interrupted() -> bool:
    """Whether `interrupt` has raised one. Who makes a class or a model meanwhile may raise something else for it."""
    return _interrupted


@contextlib.contextmanager
def noted() -> Iterator[Stop]:
    """Note the signals that ask a program to stop, in place of what they would do, for a block."""
    stop = Stop()
    try:
        before = {number: signal.signal(number, stop.note) for number in SIGNALS}
    except ValueError:  # not the main thread: signals don't come here
        yield stop
        return
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def asked_to_stop() -> Iterator[int]:
    """A descriptor that's readable once a signal asks to stop; a second signal interrupts, in case a write hangs.

    What is asked while somebody else takes note of signals, as a change does (`noted`), shows there too.
    """
    ours, theirs = socket.socketpair()
    asked = False

    def note(number: int, frame: FrameType | None) -> None:
        nonlocal asked
        if asked:
            raise KeyboardInterrupt
        asked = True

    with ours, theirs:
        theirs.setblocking(False)
        try:
            # What is ignored stays ignored, as nohup wants it.
            before = {n: signal.signal(n, note) for n in SIGNALS if signal.getsignal(n) != signal.SIG_IGN}
            woken = signal.set_wakeup_fd(theirs.fileno(), warn_on_full_buffer=False)
        except ValueError:  # not the main thread: signals don't come here
            yield ours.fileno()
            return
        try:
            yield ours.fileno()
        finally:
            signal.set_wakeup_fd(woken)
            for number, handler in before.items():
                signal.signal(number, handler)
