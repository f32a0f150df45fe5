"""Sends signals to `guestwire up` from outside, at moments that nobody has chosen; run in a sandbox."""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import random
import select
import signal
import sys
import time
from typing import NoReturn

from guestwire.cli.main import main as guestwire
from tests.world.faults import snapshot

__all__ = ["main"]

SEED = 3
PR_SET_CHILD_SUBREAPER = 36
READY = 0.01  # seconds in which a fork has long begun


def main() -> None:
    """Interrupt `up FILE` so many times; print each exit code, and whether all was as before."""
    path, times = sys.argv[1], int(sys.argv[2])
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    pick = random.Random(SEED)
    before = snapshot()
    started = time.monotonic()
    assert _ended(_started("up", path)) == 0
    whole = time.monotonic() - started
    assert _ended(_started("down", path)) == 0
    found = []
    for number in range(times):
        pid = _started("up", path)
        watched = os.pidfd_open(pid)
        ended = bool(select.select([watched], [], [], pick.uniform(READY, whole))[0])
        os.close(watched)
        os.kill(pid, (signal.SIGTERM, signal.SIGINT)[number % 2])
        code = _ended(pid)
        if code == 0:
            assert _ended(_started("down", path)) == 0
        found.append({"ended": ended, "code": code, "same": snapshot() == before})
    print(json.dumps(found))


def _started(*words: str) -> int:
    pid = os.fork()
    return pid if pid else _become(words)


def _become(words: tuple[str, ...]) -> NoReturn:
    code = 70
    try:
        os.dup2(2, 1)  # what is printed to standard output is for the test
        code = guestwire(words)
    except KeyboardInterrupt:  # before guestwire heeds it
        code = 130
    finally:
        os._exit(code)


def _ended(pid: int) -> int:
    """The exit code of a command, once the processes that worked ahead for it, and end with it, have ended too."""
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    with contextlib.suppress(ChildProcessError):
        while True:
            os.wait()
    return code
