"""A process beside ours that works ahead on another processor, sends what it has, and ends with us at the latest."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
from collections.abc import Callable

from guestwire.linux.child import dies_with_its_parent

__all__ = ["Beside"]


class Beside:
    """Does `work` with one end of a pair of sockets; the other is `socket`, where an end of file says it is done.

    To be made while the process has one thread; raises OSError where there is no process to be had. What goes wrong
    with an OSError in there shows in that less comes.
    """

    def __init__(self, work: Callable[[socket.socket], None]) -> None:
        self.socket, there = socket.socketpair()
        try:
            self.pid = os.fork()
        except OSError:
            self.socket.close()
            there.close()
            raise
        if self.pid == 0:
            self.socket.close()
            try:
                dies_with_its_parent()
                for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                    signal.signal(signum, signal.SIG_DFL)
                with contextlib.suppress(OSError):  # too few open files, say: whoever misses the rest is told
                    work(there)
            finally:
                os._exit(0)
        there.close()

    def close(self) -> None:
        """End it, done or not."""
        self.socket.close()
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)
        with contextlib.suppress(ChildProcessError):
            os.waitpid(self.pid, 0)
