"""Names under /run/netns that lead to a namespace which somebody else keeps: a running process's, or one by its path.

`ip netns attach` would bind the namespace to the name, and so keep it for as long as the name is there: with all its
links in it, after its last process has ended. A symbolic link keeps nothing, and `ip netns exec`, nsenter and setns
follow it all the same. Its other side: /proc/PID/ns/net is the next process's once that one has ended and its number
comes again. So the link leads there by way of a second one, whose name says which process is meant: its number and
when it started (proc_pid_stat(5)), which together no other has. Where the process isn't that one, nobody is let in.

    /run/netns/lab-db → /run/guestwire/lab/db@4242.187311 → /proc/4242/ns/net
"""

from __future__ import annotations

import contextlib
import os
from typing import NamedTuple

from guestwire.linux.processes import Process

__all__ = ["Signpost", "links_in", "place_of", "put", "read", "remove", "to_process"]

BY_PATH = "path"  # in place of the process, where a path is meant, whatever is there


class Signpost(NamedTuple):
    """What a name leads to: `place` is the second link, `target` the namespace's file, of that process's if any."""

    place: str
    target: str
    process: Process | None

    @property
    def leads_there(self) -> bool:
        """Whether it leads where it is meant to."""
        return self.process.lives if self.process else os.path.exists(self.target)


def to_process(pid: int) -> str:
    """The file of a process's namespace."""
    return f"/proc/{pid}/ns/net"


def place_of(before: str, process: Process | None) -> str:
    """The path of the second link to a process's namespace, or to one by its path."""
    return f"{before}@{f'{process.pid}.{process.start}' if process else BY_PATH}"


def put(path: str, before: str, target: str, process: Process | None) -> None:
    """Have `path` lead to `target` by way of a link whose path begins with `before`; it replaces one that is there.

    At each moment the whole way leads to what was or what is. Raises OSError.
    """
    place = place_of(before, process)
    os.makedirs(os.path.dirname(place), mode=0o700, exist_ok=True)
    _link(target, place)
    _link(place, path)
    _clear(before, place)


def _link(target: str, path: str) -> None:
    beside = f"{path}.new"
    with contextlib.suppress(FileNotFoundError):
        os.unlink(beside)
    os.symlink(target, beside)
    os.rename(beside, path)


def remove(path: str) -> None:
    """Take the name away; the namespace stays. Nothing where there is none."""
    found = read(path)
    if found is None:
        return
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)
    _clear(found.place.rpartition("@")[0], "")


def _clear(before: str, kept: str) -> None:
    """Remove second links that nothing leads by any more."""
    folder, name = os.path.split(before)
    with contextlib.suppress(FileNotFoundError):
        for each in os.listdir(folder):
            if each.startswith(f"{name}@") and f"{folder}/{each}" != kept:
                os.unlink(f"{folder}/{each}")


def links_in(folder: str) -> frozenset[str]:
    """The names in a folder that are symbolic links, which alone can be signposts."""
    try:
        with os.scandir(folder) as entries:
            return frozenset(entry.name for entry in entries if entry.is_symlink())
    except FileNotFoundError:
        return frozenset()


def read(path: str) -> Signpost | None:
    """What a name leads to, or None where it is no signpost."""
    try:
        place = os.readlink(path)
    except OSError:
        return None
    _, mark, told = place.rpartition("@")
    pid, _, start = told.partition(".")
    if not mark or not (told == BY_PATH or (pid.isdecimal() and start.isdecimal())):
        return None
    process = None if told == BY_PATH else Process(int(pid), int(start))
    try:
        target = os.readlink(place)
    except OSError:
        target = to_process(process.pid) if process else ""
    return Signpost(place, target, process)
