"""Runs a program to its end, in the namespace that the calling thread is in, and has its failure as OSError."""

from __future__ import annotations

import errno
import select
from collections.abc import Sequence

__all__ = ["has_ended", "run_program"]


def run_program(command: Sequence[str], seconds: float, text: str | None = None, stdin: int | None = None) -> str:
    """What the program printed, given `text`, or the descriptor `stdin`, as its standard input.

    It is in a session of its own, so a Ctrl-C is ours alone to act on.

    Raises OSError: ENOENT where there is no such program, ETIMEDOUT where it takes longer than `seconds` (it is ended
    then), and EREMOTEIO with the program's own words where it ends with anything but 0.
    """
    import subprocess  # a tenth of guestwire's start, and most commands run no program

    try:
        done = subprocess.run(
            command,
            input=text,
            stdin=stdin,
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
            start_new_session=True,
        )
    except subprocess.TimeoutExpired:
        raise OSError(errno.ETIMEDOUT, f"{command[0]} was not done after {seconds:g} s") from None
    if done.returncode:
        said = " ".join(done.stderr.split()) or f"{command[0]} ended with {done.returncode}"
        raise OSError(errno.EREMOTEIO, said)
    return done.stdout


def has_ended(handle: int, seconds: float) -> bool:
    """Whether the process of a pidfd ends in so many seconds.

    By poll: select(2) takes no descriptor over 1,023, and a thousand namespaces are two thousand.
    """
    waiting = select.poll()
    waiting.register(handle, select.POLLIN)
    return bool(waiting.poll(seconds * 1000))
