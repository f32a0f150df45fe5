"""What ties programs to one link and can't be moved to another: bound sockets, packet sockets, multicast groups.

A socket bound to a link (SO_BINDTODEVICE), and one with a link-local address, is known by the link's number, which
sock_diag(7) tells. Packet sockets and groups stand in /proc/net. Whose a socket is, /proc/PID/fd shows by its inode.
"""

from __future__ import annotations

import contextlib
import os
import socket
import struct
from collections.abc import Iterator
from ipaddress import IPv4Address, IPv6Address
from typing import NamedTuple

from guestwire.linux.netlink import NetlinkError, Request, Socket

__all__ = ["Tie", "ties"]

NETLINK_SOCK_DIAG, SOCK_DIAG_BY_FAMILY = 4, 20
PROTOCOLS = {socket.IPPROTO_TCP: "TCP", socket.IPPROTO_UDP: "UDP", socket.IPPROTO_RAW: "raw"}
LISTEN, UNCONNECTED = 10, 7  # include/net/tcp_states.h
ALL_STATES = 0xFFFFFFFF
USUAL_GROUPS = {"224.0.0.1", "ff02::1", "ff01::1", "ff02::2", "ff01::2", "ff05::2"}
"""Those that the kernel joins on every link, the routers' on one that forwards."""
SOLICITED = "ff02::1:ff"
_REQUEST = struct.Struct("=BBBxI48x")


class Tie(NamedTuple):
    """One tie: what it is, and which programs have it, where that can be seen."""

    what: str
    programs: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.what} of {', '.join(self.programs)}" if self.programs else self.what


def ties(name: str, index: int) -> list[Tie]:
    """What is tied to the link in the namespace that this thread is in, as far as it may be seen."""
    found = [*_bound(index), *_packet(index)]
    owners = _owners({inode for _, inode in found})
    told: dict[str, set[str]] = {}
    for what, inode in found:
        told.setdefault(what, set()).update(owners.get(inode, ()))
    groups = [Tie(f"multicast group {group}") for group in _groups(name)]
    return [*(Tie(what, tuple(sorted(programs))) for what, programs in told.items()), *groups]


def _bound(index: int) -> Iterator[tuple[str, int]]:
    """The sockets bound to the link, each with its inode."""
    sock = Socket(NETLINK_SOCK_DIAG)
    try:
        for family in (socket.AF_INET, socket.AF_INET6):
            for protocol, word in PROTOCOLS.items():
                with contextlib.suppress(NetlinkError):  # a kernel without that one's diagnosis
                    for body in sock.dump(
                        Request(SOCK_DIAG_BY_FAMILY, 0, _REQUEST.pack(family, protocol, 0, ALL_STATES))
                    ):
                        if struct.unpack_from("=I", body, 40)[0] == index:
                            yield _socket_words(family, word, body), struct.unpack_from("=I", body, 68)[0]
    finally:
        sock.close()


def _socket_words(family: int, word: str, body: bytes) -> str:
    size = 4 if family == socket.AF_INET else 16
    near, far = (socket.inet_ntop(family, body[start : start + size]) for start in (8, 24))
    port, far_port = struct.unpack_from("!HH", body, 4)
    if body[1] in (LISTEN, UNCONNECTED):
        return f"{word} socket {near} port {port}"
    return f"{word} connection {near} port {port} to {far} port {far_port}"


def _packet(index: int) -> Iterator[tuple[str, int]]:
    """The packet sockets bound to the link (packet(7)), each with its inode."""
    for line in _lines("packet", head=1):
        words = line.split()
        if words[4] == str(index):
            yield "packet socket", int(words[8])


def _groups(name: str) -> Iterator[str]:
    """The multicast groups that are joined on the link, but for those that the kernel joins by itself."""
    for line in _lines("igmp6"):
        _, link, group, *_ = line.split()
        address = str(IPv6Address(bytes.fromhex(group)))
        if link == name and address not in USUAL_GROUPS and not address.startswith(SOLICITED):
            yield address
    link = ""
    for line in _lines("igmp", head=1):
        if not line.startswith("\t"):
            link = line.split()[1]
        elif link == name:
            address = str(IPv4Address(bytes.fromhex(line.split()[0])[::-1]))
            if address not in USUAL_GROUPS:
                yield address


def _lines(name: str, head: int = 0) -> list[str]:
    """The lines of a table in /proc/net, without those of its head."""
    with contextlib.suppress(OSError), open(f"/proc/thread-self/net/{name}") as file:
        return file.read().splitlines()[head:]
    return []


def _owners(inodes: set[int]) -> dict[int, list[str]]:
    """The programs that have sockets of those inodes open, as far as we may look."""
    wanted = {f"socket:[{inode}]": inode for inode in inodes}
    found: dict[int, list[str]] = {}
    for pid in filter(str.isdigit, os.listdir("/proc")) if wanted else ():
        with contextlib.suppress(OSError), os.scandir(f"/proc/{pid}/fd") as entries:
            for entry in entries:
                with contextlib.suppress(OSError):  # it was closed meanwhile
                    inode = wanted.get(os.readlink(entry.path))
                    if inode is not None:
                        with open(f"/proc/{pid}/comm", errors="replace") as file:
                            found.setdefault(inode, []).append(f"{file.read().strip()} (pid {pid})")
    return found
