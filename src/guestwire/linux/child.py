"""A child in the foreground that stands for its parent: the parent passes signals on, waits, and ends as it ends.

A terminal gives Ctrl-C to the whole foreground group, so the child has it already; one sent with `kill` reaches the
parent alone. The kernel says which of the two it was (`si_code`, sigaction(2)), so the child gets each signal once.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
from collections.abc import Iterable

__all__ = ["attend", "dies_with_its_parent", "hold", "release"]

PASSED_ON = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2)
SI_KERNEL = 0x80  # include/uapi/asm-generic/siginfo.h: the kernel sent it, as for a terminal's keys
PR_SET_PDEATHSIG = 1


def hold() -> Iterable[int]:
    """Hold back the signals that `attend` takes, from before the fork on; what `release` wants to let them go again."""
    # Where SIGCHLD is ignored, as some parents leave it, a child's end is neither told nor kept.
    with contextlib.suppress(ValueError):  # not the main thread, which alone may say so
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    return signal.pthread_sigmask(signal.SIG_BLOCK, (*PASSED_ON, signal.SIGCHLD))


def release(mask: Iterable[int]) -> None:
    """Take signals again as before `hold`; a child does so first of all."""
    signal.pthread_sigmask(signal.SIG_SETMASK, mask)


def attend(pid: int) -> int:
    """Wait for the end of child `pid`; its exit code, or 128 and the signal that ended it.

    For between `hold` and `release`. When the child stops (Ctrl-Z in a program that takes the key itself), so do we,
    and a shell sees it.
    """
    while True:
        told = signal.sigwaitinfo((*PASSED_ON, signal.SIGCHLD))
        if told.si_signo != signal.SIGCHLD:
            if told.si_code != SI_KERNEL:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, told.si_signo)
            continue
        changed, status = os.waitpid(pid, os.WNOHANG | os.WUNTRACED)
        if not changed:
            continue
        if os.WIFSTOPPED(status):
            os.kill(os.getpid(), signal.SIGSTOP)
            os.kill(pid, signal.SIGCONT)
            continue
        return os.WEXITSTATUS(status) if os.WIFEXITED(status) else 128 + os.WTERMSIG(status)


def dies_with_its_parent() -> None:
    """Have the kernel kill this process when the one that forked it ends (PR_SET_PDEATHSIG in prctl(2))."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, ctypes.c_ulong(signal.SIGKILL))
