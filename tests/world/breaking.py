"""Starts `guestwire try`, ends it with a signal while the copy of the host is there, and prints what is left then."""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import time

from guestwire.linux.processes import started

__all__ = ["main"]

PATIENCE = 40


def main() -> None:
    """End it by the signal ARGV[1]: print its code, and the processes in namespaces of their own that live on."""
    ours = os.stat("/proc/self/ns/pid").st_ino
    tried = subprocess.Popen([sys.executable, "-m", "guestwire", "try"], stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + PATIENCE
    while not _measures(ours) and tried.poll() is None and time.monotonic() < deadline:
        select.select([], [], [], 0.01)
    there = _aside(ours)
    tried.send_signal(int(sys.argv[1]))
    code = tried.wait(PATIENCE)
    deadline = time.monotonic() + PATIENCE
    while _aside(ours) and time.monotonic() < deadline:  # the kernel ends them one after the other
        select.select([], [], [], 0.01)
    print(json.dumps({"code": code, "there": len(there), "left": _aside(ours)}))


def _aside(ours: int) -> list[int]:
    """The processes that are in another PID namespace than we; one that nobody has buried yet doesn't count."""
    found = []
    for pid in map(int, filter(str.isdigit, os.listdir("/proc"))):
        try:
            if os.stat(f"/proc/{pid}/ns/pid").st_ino != ours and started(pid):
                found.append(pid)
        except OSError:  # it has ended meanwhile
            continue
    return found


def _measures(ours: int) -> bool:
    """Whether the project is up in the copy: its state is written there."""
    return any(os.path.exists(f"/proc/{pid}/root/run/guestwire/shop/state.json") for pid in _aside(ours))
