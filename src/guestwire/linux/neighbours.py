"""Neighbours as the kernel tells them: whose MAC an address has, and what a bridge knows to be behind which port.

Numbers are those of include/uapi/linux/neighbour.h.
"""

from __future__ import annotations

import socket
import struct
from typing import NamedTuple

from guestwire.linux.netlink import Request, Socket, attributes
from guestwire.linux.rtnetlink import RTM_GETNEIGH

__all__ = [
    "NDA_DST",
    "NDA_LLADDR",
    "NDA_PROTOCOL",
    "NTF_PROXY",
    "NeighbourMessage",
    "dump_neighbours",
]

NDA_DST, NDA_LLADDR, NDA_PROTOCOL = 1, 2, 12
NTF_PROXY = 0x08
_NDMSG = struct.Struct("=BxxxiHBB")


class NeighbourMessage(NamedTuple):
    """A neighbour, or an entry of a bridge's forwarding table, as RTM_NEWNEIGH tells it."""

    family: int
    ifindex: int
    state: int
    flags: int
    address: str
    mac: str
    protocol: int


def dump_neighbours(sock: Socket, family: int = 0, flags: int = 0) -> list[NeighbourMessage]:
    """Every neighbour of the socket's namespace; with AF_BRIDGE the forwarding entries of bridges and parents.

    With the flag NTF_PROXY instead the addresses that the namespace answers for.
    """
    found = []
    for body in sock.dump(Request(RTM_GETNEIGH, 0, _NDMSG.pack(family, 0, 0, flags, 0))):
        entry_family, index, state, entry_flags, _ = _NDMSG.unpack_from(body)
        get = attributes(body, 12).get
        address = get(NDA_DST) if entry_family in (socket.AF_INET, socket.AF_INET6) else None
        found.append(
            NeighbourMessage(
                entry_family,
                index,
                state,
                entry_flags,
                socket.inet_ntop(entry_family, address) if address else "",
                get(NDA_LLADDR, b"").hex(":"),
                get(NDA_PROTOCOL, b"\0")[0],
            )
        )
    return found
