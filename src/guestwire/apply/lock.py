"""One guestwire at a time on a host: a lock file that the kernel lets go of when its holder ends, however it ends."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator

from guestwire.apply.store import RUN
from guestwire.errors import Busy

__all__ = ["locked"]


@contextlib.contextmanager
def locked(host: str) -> Iterator[None]:
    """Hold the lock of a host for a block; raises Busy at once where another process has it."""
    path = f"{RUN}/{host}.lock"
    while True:
        os.makedirs(RUN, mode=0o755, exist_ok=True)
        try:
            fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except FileNotFoundError:
            continue  # the one before us has just tidied the folder away
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            who = os.read(fd, 32).decode(errors="replace").strip() or "unknown"
            os.close(fd)
            raise Busy(
                f"another guestwire (process {who}) is at work on this host.", hint="Try again when it is done."
            ) from None
        if _same(fd, path):
            break
        os.close(fd)  # locked a file that its last holder has removed since we opened it
    os.truncate(fd, 0)
    os.write(fd, f"{os.getpid()}\n".encode())
    try:
        yield
    finally:
        os.unlink(path)
        os.close(fd)
        with contextlib.suppress(OSError):
            os.rmdir(RUN)


def _same(fd: int, path: str) -> bool:
    try:
        return os.path.samestat(os.fstat(fd), os.stat(path))
    except FileNotFoundError:
        return False
