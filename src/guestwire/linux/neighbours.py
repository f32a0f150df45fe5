"""Neighbours as the kernel tells them: whose MAC an address has, and what a bridge knows to be behind which port.

Of an address the kernel says how sure it is (NUD_*): stale is a MAC that it uses, and asks after once it has; permanent
and noarp are what somebody has set. Numbers are those of include/uapi/linux/neighbour.h.
"""

from __future__ import annotations

import socket
import struct
from typing import NamedTuple

from guestwire.linux.netlink import Request, Socket, attribute, attributes, u8
from guestwire.linux.rtnetlink import AF_BRIDGE, RTM_GETNEIGH

__all__ = [
    "NTF_MASTER",
    "NTF_PROXY",
    "NTF_ROUTER",
    "NUD_DELAY",
    "NUD_NOARP",
    "NUD_PERMANENT",
    "NUD_PROBE",
    "NUD_REACHABLE",
    "NUD_STALE",
    "NeighbourMessage",
    "dump_neighbours",
    "neighbour",
]

NDA_DST, NDA_LLADDR, NDA_PROTOCOL = 1, 2, 12
NTF_MASTER, NTF_PROXY, NTF_ROUTER = 0x04, 0x08, 0x80
NUD_REACHABLE, NUD_STALE, NUD_DELAY, NUD_PROBE = 0x02, 0x04, 0x08, 0x10
NUD_NOARP, NUD_PERMANENT = 0x40, 0x80
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


def neighbour(
    index: int, state: int = 0, flags: int = 0, *, address: str = "", mac: str = "", protocol: int = 0
) -> bytes:
    """The body of a request about a neighbour on a link; without `address` about a bridge's forwarding entry."""
    family = AF_BRIDGE if not address else socket.AF_INET6 if ":" in address else socket.AF_INET
    body = _NDMSG.pack(family, index, state, flags, 0)
    body += attribute(NDA_DST, socket.inet_pton(family, address)) if address else b""
    body += attribute(NDA_LLADDR, bytes.fromhex(mac.replace(":", ""))) if mac else b""
    return body + (u8(NDA_PROTOCOL, protocol) if protocol else b"")


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
