"""As little rtnetlink as the benchmark needs: pack messages, send many at once, check every answer, list the links."""

import os
import socket
import struct
from collections.abc import Sequence

NETLINK_ROUTE, SOL_NETLINK, NETLINK_CAP_ACK = 0, 270, 10
REQUEST, ACK, DUMP, CREATE, EXCL = 0x1, 0x4, 0x300, 0x400, 0x200
NEWLINK, DELLINK, GETLINK, SETLINK, NEWADDR, NEWROUTE = 16, 17, 18, 19, 20, 24
ERROR, DONE = 2, 3
UP = 1
IFNAME, LINK, MASTER, LINKINFO, NET_NS_FD, GROUP = 3, 5, 10, 18, 28, 27
INFO_KIND, INFO_DATA, PEER, MACVLAN_MODE, MACVLAN_BRIDGE = 1, 2, 1, 1, 4
BATCH = 128
HEADER, LINKHEAD = struct.Struct("=IHHII"), struct.Struct("=BxHiII")
ATTR, ATTR32 = struct.Struct("=HH"), struct.Struct("=HHI")


def attr(kind: int, value: bytes) -> bytes:
    """One attribute, padded."""
    return ATTR.pack(4 + len(value), kind) + value + b"\0" * (-len(value) % 4)


def attr32(kind: int, value: int) -> bytes:
    """One attribute holding a number."""
    return ATTR32.pack(8, kind, value)


def string(kind: int, value: str) -> bytes:
    """One attribute holding a name."""
    return attr(kind, value.encode() + b"\0")


def link(*attributes: bytes, index: int = 0, flags: int = 0) -> bytes:
    """The body of a link message: flags that are given are both value and mask."""
    return LINKHEAD.pack(0, 0, index, flags, flags) + b"".join(attributes)


def message(kind: int, body: bytes, flags: int = 0) -> bytes:
    """One request that is to be acknowledged."""
    return HEADER.pack(16 + len(body), kind, REQUEST | ACK | flags, 0, 0) + body


def open_rtnetlink(groups: int = 0) -> socket.socket:
    """A socket in the namespace of the calling thread; `groups` are the announcements it hears."""
    sock = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, NETLINK_ROUTE)
    sock.setsockopt(SOL_NETLINK, NETLINK_CAP_ACK, 1)
    if groups:
        sock.bind((0, groups))
    return sock


def send(sock: socket.socket, messages: Sequence[bytes]) -> None:
    """Send all, BATCH at a time; an OSError says which message was refused."""
    for first in range(0, len(messages), BATCH):
        batch = messages[first : first + BATCH]
        sock.send(b"".join(batch))
        awaited = len(batch)
        while awaited:
            answer = sock.recv(65536)
            for offset in range(0, len(answer), 36):
                error = int.from_bytes(answer[offset + 16 : offset + 20], "little", signed=True)
                if error:
                    raise OSError(-error, f"{os.strerror(-error)} (message {first + len(batch) - awaited})")
                awaited -= 1


def link_names(sock: socket.socket) -> list[str]:
    """The names of all links in the socket's namespace."""
    body = LINKHEAD.pack(0, 0, 0, 0, 0) + attr32(29, 8)  # IFLA_EXT_MASK: leave out the statistics
    sock.send(HEADER.pack(16 + len(body), GETLINK, REQUEST | DUMP, 0, 0) + body)
    names: list[str] = []
    while True:
        answer, offset = sock.recv(1 << 20), 0
        while offset < len(answer):
            size, kind = struct.unpack_from("=IH", answer, offset)
            if kind == DONE:
                return names
            if kind == NEWLINK:
                names.append(_name(answer[offset + 32 : offset + size]))
            offset += (size + 3) & ~3


def _name(attributes: bytes) -> str:
    offset = 0
    while offset < len(attributes):
        size, kind = ATTR.unpack_from(attributes, offset)
        if kind == IFNAME:
            return attributes[offset + 4 : offset + size - 1].decode()
        offset += (size + 3) & ~3
    return ""
