"""UNIX sockets by paths of any length: the kernel takes 107 bytes of one, so a long one is said by its folder's number.

`/proc/self/fd/N/NAME` names a file in an open folder (proc_pid_fd(5)); a project's folder and a guest's name can have
63 characters each, which with `/run/guestwire` is too long (sun_path in unix(7)).
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["connected", "listening"]

BACKLOG = 16


def listening(path: str) -> socket.socket:
    """A socket that listens at `path`, where there must be nothing yet. Raises OSError."""
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        with _short(path) as address:
            sock.bind(address)
        sock.listen(BACKLOG)
    except BaseException:
        sock.close()
        raise
    return sock


def connected(path: str, seconds: float) -> socket.socket:
    """A connection to who listens at `path`; `seconds` are for it, and for each reading and writing after it.

    Raises OSError: ENOENT where there is nothing, ECONNREFUSED where nobody listens, ETIMEDOUT.
    """
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        sock.settimeout(seconds)
        with _short(path) as address:
            sock.connect(address)
    except BaseException:
        sock.close()
        raise
    return sock


@contextmanager
def _short(path: str) -> Iterator[str]:
    folder = os.open(os.path.dirname(path), os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{folder}/{os.path.basename(path)}"
    finally:
        os.close(folder)
