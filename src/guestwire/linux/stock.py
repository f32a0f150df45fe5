"""Network namespaces without names, made ahead by a process beside us while this one still reads what they are for.

The kernel takes some 0.2 ms for one, and no two make them faster than one, since it builds each under locks that all
share. But it is done on another processor while ours imports and compiles. What has no name goes with its last
descriptor (network_namespaces(7)): of those that aren't wanted nothing is left, whatever becomes of us.
"""

from __future__ import annotations

import os
import socket
from collections import deque
from functools import partial

from guestwire.linux import namespaces
from guestwire.linux.beside import Beside
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
        self._beside = Beside(partial(_make, number))

    def take(self) -> tuple[int, Socket] | None:
        """A namespace's descriptor and a socket in it, the caller's from now on; None where there is none any more."""
        if not self._ready:
            _, fds, _, _ = socket.recv_fds(self._beside.socket, 1, 2 * PARCEL)
            for each in fds:
                os.set_inheritable(each, False)  # recv_fds can't have the kernel do so (MSG_CMSG_CLOEXEC)
            if len(fds) % 2:  # for want of room in our table of open files
                os.close(fds.pop())
            self._ready.extend(zip(fds[::2], fds[1::2], strict=True))
        if not self._ready:
            return None
        fd, sock = self._ready.popleft()
        return fd, Socket.adopt(sock)

    def close(self) -> None:
        """Let go of what is left."""
        self._beside.close()
        for pair in self._ready:
            for fd in pair:
                os.close(fd)
        self._ready.clear()


def _make(number: int, there: socket.socket) -> None:
    """In the process beside us: make them and hand them over."""
    for start in range(0, number, PARCEL):
        made = [_one() for _ in range(min(PARCEL, number - start))]
        socket.send_fds(there, [b"+"], [fd for pair in made for fd in (pair[0], pair[1].fileno())])
        for fd, sock in made:
            os.close(fd)
            sock.close()


def _one() -> tuple[int, Socket]:
    unshare(CLONE_NEWNET)
    return namespaces.current(), Socket()
