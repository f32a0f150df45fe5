"""Who holds a tap or macvtap: the processes that have a descriptor of it open, as /proc shows them.

The kernel says in /proc/PID/fdinfo/N which tap a descriptor is of (`iff:`), by its name alone, and names repeat: the
namespace is asked of the descriptor itself (TUNGETDEVNETNS), of which we take a copy (pidfd_getfd(2), Linux 5.6).
Where we may not, the process's own namespace stands for it. A macvtap's node has a number of its own. Processes of
other users are seen by root alone, and those of other PID namespaces not at all.

Who is in a namespace that has no name, a container's, is found the same way.
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterator
from fcntl import ioctl
from typing import NamedTuple

from guestwire.linux.libc import pidfd_getfd
from guestwire.linux.netlink import Socket
from guestwire.linux.rtnetlink import namespace_id

__all__ = ["Holder", "first_within", "node_holders", "tap_holders"]

TUN = os.makedev(10, 200)  # Documentation/admin-guide/devices.txt
TUNGETDEVNETNS = ord("T") << 8 | 227  # _IO('T', 227), include/uapi/linux/if_tun.h; Linux 5.4


class Holder(NamedTuple):
    """A process with a descriptor of a link open: one for each queue of it that it has."""

    pid: int
    command: str
    descriptors: int

    def __str__(self) -> str:
        return f"{self.command} (pid {self.pid})"


def tap_holders(netns: int) -> dict[str, list[Holder]]:
    """Who holds the taps and tuns of a network namespace, which is known by its identity, by the links' names."""
    counted: dict[tuple[str, int], int] = {}
    for pid, fd in _open(TUN):
        name = _tap_of(pid, fd)
        if name and _namespace_of(pid, fd) == netns:
            counted[name, pid] = counted.get((name, pid), 0) + 1
    found: dict[str, list[Holder]] = {}
    for (name, pid), count in counted.items():
        found.setdefault(name, []).append(Holder(pid, _command(pid), count))
    return found


def node_holders(number: int) -> list[Holder]:
    """Who holds the device of that number."""
    counted: dict[int, int] = {}
    for pid, _ in _open(number):
        counted[pid] = counted.get(pid, 0) + 1
    return [Holder(pid, _command(pid), count) for pid, count in counted.items()]


def first_within(sock: Socket, number: int) -> Holder | None:
    """The first process of the namespace that the socket's own knows by a number, which says where a veth leads to."""
    asked: set[int] = set()
    for pid in sorted(map(int, filter(str.isdigit, os.listdir("/proc")))):
        with contextlib.suppress(OSError), open(f"/proc/{pid}/ns/net") as file:
            identity = os.fstat(file.fileno()).st_ino
            if identity not in asked and namespace_id(sock, file.fileno()) == number:
                return Holder(pid, _command(pid), 0)
            asked.add(identity)
    return None


def _open(number: int) -> Iterator[tuple[int, int]]:
    """Every descriptor of a character device that a process has open, as far as we may look."""
    for pid in map(int, filter(str.isdigit, os.listdir("/proc"))):
        with contextlib.suppress(OSError):  # it has ended, or is none of ours to look at
            for fd in map(int, os.listdir(f"/proc/{pid}/fd")):
                with contextlib.suppress(OSError):
                    seen = os.stat(f"/proc/{pid}/fd/{fd}")
                    if stat.S_ISCHR(seen.st_mode) and seen.st_rdev == number:
                        yield pid, fd


def _tap_of(pid: int, fd: int) -> str | None:
    with contextlib.suppress(OSError), open(f"/proc/{pid}/fdinfo/{fd}", errors="replace") as lines:
        for line in lines:
            key, _, value = line.partition(":")
            if key == "iff":
                return value.strip()
    return None


def _namespace_of(pid: int, fd: int) -> int | None:
    """The identity of the namespace of a descriptor's tap."""
    try:
        process = os.pidfd_open(pid)
        try:
            copy = pidfd_getfd(process, fd)
        finally:
            os.close(process)
        try:
            netns = ioctl(copy, TUNGETDEVNETNS)
        finally:
            os.close(copy)
        identity = os.fstat(netns).st_ino
        os.close(netns)
        return identity
    except OSError:
        with contextlib.suppress(OSError):
            return os.stat(f"/proc/{pid}/ns/net").st_ino
    return None


def _command(pid: int) -> str:
    """The words that it was started with, or its name in brackets, as ps has it."""
    with contextlib.suppress(OSError):
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            words = file.read().rstrip(b"\0").split(b"\0")
        if words != [b""]:
            return " ".join(word.decode(errors="replace") for word in words)
        with open(f"/proc/{pid}/comm", errors="replace") as comm:
            return f"[{comm.read().strip()}]"
    return "?"
