"""A fault that tests ask for: a change that is killed, interrupted or refused at a place of their choice."""

from __future__ import annotations

import errno
import os
import signal

from guestwire.linux.kernel import Kernel

__all__ = ["Fault"]

WISH = "GUESTWIRE_FAULT"


class Fault:
    """What the environment asks for: GUESTWIRE_FAULT=kill:N, term:N, int:N or an error by its name, as EBUSY:N.

    N counts from 0 what is written and done, in order: the journal, each step, the commit point, the state, the end of
    the journal. ENOSPC counts only what is written.
    """

    def __init__(self) -> None:
        self.how, _, number = os.environ.get(WISH, "").partition(":")
        self.left = int(number) if self.how else -1

    def strike(self, kernel: Kernel, *, write: bool = False) -> None:
        """Called before each; strikes when its turn has come, with all steps before it done."""
        if not self.how or (self.how == "ENOSPC" and not write):
            return
        kernel.flush()
        self.left -= 1
        if self.left == -1:
            signals = {"kill": signal.SIGKILL, "term": signal.SIGTERM, "int": signal.SIGINT}
            if self.how not in signals:
                raise OSError(getattr(errno, self.how, errno.EIO), "a fault that was asked for")
            signal.raise_signal(signals[self.how])
