"""Runs a piece of the benchmark where it can touch nothing: namespaces of its own for mounts, network and processes."""

import ctypes
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from typing import Any

CLONE_NEWNS, CLONE_NEWIPC, CLONE_NEWPID, CLONE_NEWNET = 0x20000, 0x08000000, 0x20000000, 0x40000000
MS_RDONLY, MS_REMOUNT, MS_BIND, MS_REC, MS_PRIVATE = 1, 32, 4096, 16384, 1 << 18
PR_SET_PDEATHSIG = 1
LIBC = ctypes.CDLL(None, use_errno=True)

Job = dict[str, Any]
Result = dict[str, Any]


class Failed(Exception):
    """A measurement that came to nothing; its text is for the person who reads the table."""


def check(result: int, what: str) -> None:
    """Turn a libc result into an OSError that says what was tried."""
    if result < 0:
        error = ctypes.get_errno()
        raise OSError(error, f"{what}: {os.strerror(error)}")


def mount(source: str, target: str, kind: str | None, flags: int = 0, data: str = "") -> None:
    """mount(2)."""
    words = (source.encode(), target.encode(), kind.encode() if kind else None)
    check(LIBC.mount(*words, flags, data.encode()), target)


def measure(job: Job, timeout: float) -> Result:
    """Run `job` in a worker of its own; the result it printed, or Failed. Nothing of the worker outlives this call."""
    program = [sys.executable, sys.argv[0], "--worker", json.dumps(job)]
    worker = subprocess.Popen(program, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        out, err = worker.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        worker.kill()  # its child dies with it, and with that child, the first of its namespace, all others
        worker.communicate()
        raise Failed(f"not done after {timeout:.0f} s") from None
    except BaseException:
        worker.kill()
        worker.wait()
        raise
    if worker.returncode:
        raise Failed((err.strip().splitlines() or [f"exit code {worker.returncode}"])[-1])
    result: Result = json.loads(out.splitlines()[-1])
    return result


def become_worker(job: Job, work: Callable[[Job], Result]) -> int:
    """Enter namespaces of our own, do the work there and print its result; the worker's exit code."""
    check(LIBC.unshare(CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWPID | CLONE_NEWIPC), "unshare (are you root?)")
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    try:
        mount("none", "/", None, MS_REC | MS_PRIVATE)
        for kind, target in (("proc", "/proc"), ("sysfs", "/sys"), ("tmpfs", "/run")):
            mount(kind, target, kind)
        _keep_etc()
        os.makedirs("/run/user/0", 0o700)
        os.environ.update(XDG_RUNTIME_DIR="/run/user/0", NO_COLOR="1")
        print(json.dumps(work(job)), flush=True)
        code = 0
    except (Failed, OSError, subprocess.SubprocessError) as error:
        print(error, file=sys.stderr)
        code = 1
    os._exit(code)


def _keep_etc() -> None:
    """Have what is written to /etc, guests' resolv.conf, go nowhere; another /run hides where it lies meanwhile."""
    for folder in ("/run/upper", "/run/work"):
        os.mkdir(folder)
    mount("overlay", "/etc", "overlay", data="lowerdir=/etc,upperdir=/run/upper,workdir=/run/work")
    mount("tmpfs", "/run", "tmpfs")


def protect_sysctls() -> None:
    """Make /proc/sys read-only for this worker: some peers set limits of the whole machine on their way."""
    mount("/proc/sys", "/proc/sys", None, MS_BIND)
    mount("/proc/sys", "/proc/sys", None, MS_BIND | MS_REMOUNT | MS_RDONLY)
