"""Network namespaces without names, made ahead by a process beside us while this one still reads what they are for.

The kernel takes some 0.2 ms for one, and no two make them faster than one, since it builds each under locks that all
share. But it is done on another processor while ours imports and compiles. What has no name goes with its last
descriptor (network_namespaces(7)): of those that aren't wanted nothing is left, whatever becomes of us.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
from collections import deque

from guestwire.linux import namespaces
from guestwire.linux.child import dies_with_its_parent
from guestwire.linux.libc import CLONE_NEWNET, unshare
from guestwire.linux.netlink import Socket

__all__ = ["Stock"]

PARCEL = 16  # namespaces that are sent at once: 3 ms of work


class Stock:
    """So many namespaces in the making, like the one that the calling thread is in; each with a socket in it.

    To be made while the process has one thread; raises OSError where there is no process to be had. Closing it ends the
    process beside us, and what wasn't taken is gone.
    """

    def __init__(self, number: int) -> None:
        self._ready: deque[tuple[int, int]] = deque()
        self._here, there = socket.socketpair()
        try:
            self._pid = os.fork()
        except OSError:
            self._here.close()
            there.close()
            raise
        if self._pid == 0:
            self._here.close()
            _make(there, number)
        there.close()

    def take(self) -> tuple[int, Socket] | None:
        """A namespace's descriptor and a socket in it, the caller's from now on; None where there is none any more."""
        if not self._ready:
            _, fds, _, _ = socket.recv_fds(self._here, 1, 2 * PARCEL)
            self._ready.extend(zip(fds[::2], fds[1::2], strict=False))
        if not self._ready:
            return None
        fd, sock = self._ready.popleft()
        return fd, Socket.adopt(sock)

    def close(self) -> None:
        """Let go of what is left."""
        self._here.close()
        for pair in self._ready:
            for fd in pair:
                os.close(fd)
        self._ready.clear()
        with contextlib.suppress(ProcessLookupError):
            os.kill(self._pid, signal.SIGKILL)
        with contextlib.suppress(ChildProcessError):
            os.waitpid(self._pid, 0)


def _make(there: socket.socket, number: int) -> None:
    """In the process beside us: make them, hand them over, and end. What goes wrong shows in that fewer come."""
    try:
        dies_with_its_parent()
        for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(signum, signal.SIG_DFL)
        for start in range(0, number, PARCEL):
            made = [_one() for _ in range(min(PARCEL, number - start))]
            socket.send_fds(there, [b"+"], [fd for pair in made for fd in (pair[0], pair[1].fileno())])
            for fd, sock in made:
                os.close(fd)
                sock.close()
    except OSError:
        pass  # too few open files, say: whoever takes the rest makes it, and is told
    finally:
        os._exit(0)


def _one() -> tuple[int, Socket]:
    unshare(CLONE_NEWNET)
    return namespaces.current(), Socket()
