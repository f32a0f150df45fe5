"""Process 1 of a world of its own (userns.py): keeps it until SIGTERM, and takes in the orphans; run as a script, too.

Started as a script by a fresh Python it holds none of its maker's memory, so it imports next to nothing. All signals
are blocked by then, or process 1 would not hear of them.
"""

from __future__ import annotations

import os
import signal
import sys
from typing import NoReturn

__all__ = ["keep"]


def keep(title: str) -> NoReturn:
    """Say on descriptor 0 that we are there, end unless the answer is to go on, and stay; descriptor 1 is /dev/null."""
    with open("/proc/self/comm", "w") as file:
        file.write(title)
    os.write(0, b"ready")
    if os.read(0, 16) != b"go":
        os._exit(1)
    os.dup2(1, 0)
    while signal.sigwait({signal.SIGCHLD, signal.SIGTERM}) != signal.SIGTERM:
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        except ChildProcessError:
            pass
    os._exit(0)


if __name__ == "__main__":
    keep(sys.argv[1])
