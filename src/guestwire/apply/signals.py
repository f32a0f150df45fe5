"""Ctrl-C and SIGTERM during a change: noted, and acted on between two steps, where an undo can start."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator
from types import FrameType

__all__ = ["Stop", "noted"]

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Stop:
    """Whether somebody has asked us to stop."""

    asked = False

    def note(self, number: int, frame: FrameType | None) -> None:
        self.asked = True


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
