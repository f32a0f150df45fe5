"""One guestwire at a time on a host: a lock file that the kernel lets go of when its holder ends, however it ends."""

from __future__ import annotations

import contextlib
import fcntl
import glob
import os
import select
import time
from collections.abc import Iterator

from guestwire.errors import Busy, Refused
from guestwire.linux.processes import started
from guestwire.places import RUN
from guestwire.signals import noted

__all__ = ["locked", "tidy"]

PATIENCE = 5.0  # seconds that one who has the lock briefly is waited for
AGAIN = 0.005  # seconds after which it is tried again
BRIEFLY = "briefly"
ROOM = "Nothing was done. Make room there, or have it writable."


@contextlib.contextmanager
def locked(host: str, *, brief: bool = False) -> Iterator[None]:
    """Hold the lock of a host for a block; raises Busy at once where another process has it, Refused where none can be.

    One that has it for a `brief` time, as a watch for a repair, is waited for.

    A signal that asks us to stop can come at any moment, and finds the file either not there or about to be removed.
    """
    path = f"{RUN}/{host}.lock"
    fd = -1
    try:
        with noted() as stop:
            try:
                fd = _taken(path, brief)
            except PermissionError:
                raise
            except OSError as error:
                with contextlib.suppress(OSError):
                    os.rmdir(RUN)
                raise Refused(f"the lock can't be written: {error.strerror} ({path}).", hint=ROOM) from error
        if stop.asked:
            raise KeyboardInterrupt
        yield
    finally:
        if fd >= 0:
            with noted():
                if _same(fd, path):  # else somebody has removed it, and what is there is another's
                    os.unlink(path)
                os.close(fd)
                with contextlib.suppress(OSError):
                    os.rmdir(RUN)


def _taken(path: str, brief: bool) -> int:
    """A descriptor of the lock file, locked, with our pid in it."""
    deadline = time.monotonic() + PATIENCE
    while True:
        os.makedirs(RUN, mode=0o755, exist_ok=True)
        try:
            fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except FileNotFoundError:
            continue  # the one before us has just tidied the folder away
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            said = os.read(fd, 32).decode(errors="replace").split() or ["unknown", BRIEFLY]
            os.close(fd)
            # One that was killed has just forked, and its child has the lock until it runs another program.
            passing = (BRIEFLY in said and not brief) or (said[0].isdigit() and started(int(said[0])) is None)
            if passing and time.monotonic() < deadline:
                select.select([], [], [], AGAIN)
                continue
            raise Busy(
                f"another guestwire (process {said[0]}) is at work on this host.",
                hint="Try again when it is done.",
            ) from None
        if _same(fd, path):
            break
        os.close(fd)  # locked a file that its last holder has removed since we opened it
    try:
        os.truncate(fd, 0)
        os.write(fd, f"{os.getpid()} {BRIEFLY if brief else ''}".strip().encode() + b"\n")
    except OSError:
        os.unlink(path)
        os.close(fd)
        raise
    return fd


def _same(fd: int, path: str) -> bool:
    try:
        return os.path.samestat(os.fstat(fd), os.stat(path))
    except FileNotFoundError:
        return False


def tidy() -> None:
    """Remove what killed processes had begun to write, and their lock files; those that are held stay."""
    for path in glob.glob(f"{RUN}/*/*.[0-9]*.new"):
        if started(int(path.split(".")[-2])) is None:
            with contextlib.suppress(OSError):
                os.unlink(path)
                os.removedirs(os.path.dirname(path))
    for path in glob.glob(f"{RUN}/*.lock"):
        host = os.path.basename(path).removesuffix(".lock")
        with contextlib.suppress(Busy, PermissionError), locked(host, brief=True):
            pass
