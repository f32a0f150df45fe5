"""Whose network namespace a running container has, as the tools of its runtime tell: Docker, Podman, LXC, Incus, CRI.

Each tool is asked for the number of the container's first process, which is 0, -1 or nothing while it doesn't run. To
ask the daemons themselves would be faster by some 20 ms and take a protocol each.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

__all__ = ["RUNTIMES", "Keeper", "Runtime"]


class Keeper(NamedTuple):
    """How somebody says which namespace is meant: `way` is a runtime's word, "pid" or "netns"."""

    way: str
    name: str

    def __str__(self) -> str:
        return (
            f"{RUNTIMES[self.way].title} container {self.name}" if self.way in RUNTIMES else f"{self.way} {self.name}"
        )


@dataclass(frozen=True)
class Runtime:
    """What runs containers: the program that tells of them, the words that ask for one, the number in its answer."""

    title: str
    program: str
    words: tuple[str, ...]
    read: Callable[[str], int]
    start: str
    """The command that starts one, whose name follows."""


def _number(said: str) -> int:
    word = said.strip()
    return int(word) if word.lstrip("-").isdecimal() else 0


def _pid(said: str) -> int:
    document = json.loads(said)
    return int(document.get("info", document).get("pid") or 0)


_INSPECT = ("inspect", "--type", "container", "--format", "{{.State.Pid}}")
_STATE = ("query", "/1.0/instances/{}/state")
RUNTIMES = {
    "docker": Runtime("Docker", "docker", (*_INSPECT, "{}"), _number, "docker start"),
    "podman": Runtime("Podman", "podman", (*_INSPECT, "{}"), _number, "podman start"),
    "lxc": Runtime("LXC", "lxc-info", ("-n", "{}", "-p", "-H"), _number, "lxc-start -n"),
    "incus": Runtime("Incus", "incus", _STATE, _pid, "incus start"),
    "lxd": Runtime("LXD", "lxc", _STATE, _pid, "lxc start"),
    "cri": Runtime("CRI", "crictl", ("inspect", "--output", "json", "{}"), _pid, "crictl start"),
}
"""The runtimes by the word that a file names each with."""
