"""Whose network namespace a running container has, as the tools of its runtime tell: Docker, Podman, LXC, Incus, CRI.

Each tool is asked for the number of the container's first process, which is 0, -1 or nothing while it doesn't run. To
ask the daemons themselves would be faster by some 20 ms and take a protocol each.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import NamedTuple

from guestwire.linux import namespaces, signposts
from guestwire.linux.processes import Process
from guestwire.linux.programs import run_program

__all__ = ["RUNTIMES", "Absent", "Found", "Source", "find"]

SECONDS = 10  # that a tool gets to answer


class Source(NamedTuple):
    """How somebody says which namespace is meant: `way` is a runtime's word, "pid" or "netns"."""

    way: str
    name: str

    def __str__(self) -> str:
        return (
            f"{RUNTIMES[self.way].title} container {self.name}" if self.way in RUNTIMES else f"{self.way} {self.name}"
        )


class Found(NamedTuple):
    """The file of the namespace, and the process that keeps it; None where only the file is known."""

    file: str
    process: Process | None


class Absent(NamedTuple):
    """Why there is none, and what to do. `missing` where the tool that would know isn't there, `unknown` where it
    doesn't say."""

    why: str
    hint: str
    missing: bool = False
    unknown: bool = False


@dataclass(frozen=True)
class Runtime:
    """What runs containers: the program that tells of them, the words that ask for one, the number in its answer."""

    title: str
    program: str
    words: tuple[str, ...]
    read: Callable[[str], int]
    start: str
    """The command that starts a container."""


def _number(said: str) -> int:
    word = said.strip()
    return int(word) if word.lstrip("-").isdecimal() else 0


def _pid(said: str) -> int:
    document = json.loads(said)
    return int(document.get("info", document).get("pid") or 0)


_INSPECT = ("inspect", "--type", "container", "--format", "{{.State.Pid}}")
_STATE = ("query", "/1.0/instances/{}/state")
RUNTIMES = {
    "docker": Runtime("Docker", "docker", (*_INSPECT, "{}"), _number, "docker start {}"),
    "podman": Runtime("Podman", "podman", (*_INSPECT, "{}"), _number, "podman start {}"),
    "lxc": Runtime("LXC", "lxc-info", ("-n", "{}", "-p", "-H"), _number, "lxc-start -n {}"),
    "incus": Runtime("Incus", "incus", _STATE, _pid, "incus start {}"),
    "lxd": Runtime("LXD", "lxc", _STATE, _pid, "lxc start {}"),
    "cri": Runtime("CRI", "crictl", ("inspect", "--output", "json", "{}"), _pid, "crictl start {}"),
}
"""The runtimes by the word that a file names each with."""


def find(sources: Iterable[Source]) -> dict[Source, Found | Absent]:
    """Where each namespace is now, or why it is nowhere. Nothing is held: it may be gone by the time."""
    return {source: _find(source) for source in dict.fromkeys(sources)}


def _find(source: Source) -> Found | Absent:
    if source.way == "netns":
        return _by_file(source.name)
    if source.way == "pid":
        pid = int(source.name)
        return _of_process(pid) or Absent(f"there is no process {pid}", "Say a running one's number.")
    runtime = RUNTIMES[source.way]
    if shutil.which(runtime.program) is None:
        hint = "Install it, or say which process is meant, as pid: NUMBER."
        return Absent(f"`{runtime.program}` isn't there to say where {source} is", hint, missing=True, unknown=True)
    start = f"`{runtime.start.format(source.name)}` starts it."
    try:
        said = run_program((runtime.program, *(word.format(source.name) for word in runtime.words)), SECONDS)
        pid = runtime.read(said)
    except OSError as error:
        hint = "Is it running, under this name?"
        return Absent(f"`{runtime.program}` knows no {source} ({error.strerror})", hint, unknown=True)
    except (ValueError, AttributeError) as error:
        return Absent(f"`{runtime.program}` said something else than where {source} is ({error})", start, unknown=True)
    if pid <= 0:
        return Absent(f"{source} isn't running", start)
    return _of_process(pid) or Absent(f"{source} has just ended", start)


def _of_process(pid: int) -> Found | None:
    process = Process.of(pid)
    return Found(signposts.to_process(pid), process) if process else None


def _by_file(name: str) -> Found | Absent:
    file = name if "/" in name else namespaces.path(name)
    try:
        os.close(namespaces.open_file(file))
    except OSError as error:
        what = "there is none" if isinstance(error, FileNotFoundError) else error.strerror
        return Absent(f"{file} holds no network namespace ({what})", "`lsns -t net` lists those that there are.")
    return Found(os.path.abspath(file), None)
