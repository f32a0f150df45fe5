"""Runs Python as an ordinary user, whose runtime folder and labs are the test's own."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
from pathlib import Path

import guestwire

__all__ = ["Ordinary"]

WAIT = 60  # seconds for what takes less than one

# What is needed is imported while its files can be read; then root is given up for good.
DRIVER = """\
import ctypes, json, os, pty, select, signal, socket, subprocess, sys, threading
from guestwire import rootless
from guestwire.errors import GuestwireError
from guestwire.linux import child, inside, keeper, namespaces, packets, userns
uid = int(sys.argv[1])
if os.geteuid() != uid:
    os.setgroups([]), os.setresgid(uid, uid, uid), os.setresuid(uid, uid, uid)
    ctypes.CDLL(None).prctl(4, 1)  # PR_SET_DUMPABLE: as after an exec
os.chdir("/tmp")
def run(line):
    done = subprocess.run(f"PATH=$PATH:/sbin; {line}", shell=True, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout
code = sys.argv[2]
sys.argv[1:] = sys.argv[3:]
try:
    exec(code)
except GuestwireError as error:
    print(json.dumps([error.code, str(error)]))
    sys.exit(error.code)
"""
# As `up` leaves it: something is up.
UP = "os.makedirs('/run/guestwire/p', exist_ok=True)\n"


class Ordinary:
    """An ordinary user with an own runtime folder."""

    def __init__(self, runtime: Path | None, uid: int) -> None:
        self.uid = uid
        self.runtime = runtime
        self.python = sys.executable
        source = str(Path(guestwire.__file__).parent.parent)
        self.environment = {
            **os.environ,
            "PATH": "/usr/local/bin:/usr/bin:/bin",  # as Debian's login gives it, without sbin
            "PYTHONPATH": source,
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        self.environment.pop("XDG_RUNTIME_DIR", None)
        if runtime is not None:
            self.environment["XDG_RUNTIME_DIR"] = str(runtime)

    def command(self, code: str, *words: str) -> list[str]:
        """The command that runs this code as the user."""
        return [self.python, "-c", DRIVER, str(self.uid), code, *words]

    def start(self, code: str, *words: str) -> subprocess.Popen[str]:
        """Run code, and go on beside it."""
        pipe = subprocess.PIPE
        return subprocess.Popen(
            self.command(code, *words), env=self.environment, stdin=pipe, stdout=pipe, stderr=pipe, text=True
        )

    def run(self, code: str, *words: str, ends: int = 0) -> str:
        """What the code prints; fails if its exit code isn't `ends`, or somebody holds its output afterwards."""
        done = subprocess.run(
            self.command(code, *words),
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=WAIT,
            check=False,
        )
        assert done.returncode == ends, f"{done.returncode}\n{done.stdout}{done.stderr}"
        return done.stdout

    def in_lab(self, code: str, *words: str, ends: int = 0) -> str:
        """What the code prints inside the lab `p`, which is made where there is none and kept."""
        return self.run("rootless.enter('p', make=True)\n" + UP + code, *words, ends=ends)

    def holders(self) -> list[tuple[str, int]]:
        """Project and pid of each lab."""
        out = self.run("print(json.dumps([[h.project, h.pid] for h in rootless.holders()]))")
        return [(project, pid) for project, pid in json.loads(out)]

    def pid(self) -> int:
        """The keeper of the one lab."""
        ((_, pid),) = self.holders()
        return pid

    def records(self) -> list[str]:
        """The files in the runtime folder."""
        assert self.runtime is not None
        return sorted(str(path.relative_to(self.runtime)) for path in self.runtime.rglob("*") if path.is_file())

    def end_all(self) -> None:
        """End every lab, and see that nothing remains."""
        self.run("for holder in rootless.holders(): rootless.end(holder)")
        assert self.holders() == []


class Watched:
    """A process that is somebody else's child: waits for its end."""

    def __init__(self, pid: int) -> None:
        self.handle = os.pidfd_open(pid)

    def ends(self) -> bool:
        """Whether it ends, now or soon."""
        try:
            return bool(select.select([self.handle], [], [], WAIT)[0])
        finally:
            os.close(self.handle)

    def kill(self, number: int = signal.SIGKILL) -> None:
        """Send a signal."""
        signal.pidfd_send_signal(self.handle, number)
