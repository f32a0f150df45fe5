"""Netlink: messages, attributes, and a socket that sends many requests at once and says which of them failed.

A batch of requests goes to the kernel in one sendmsg, which works through it in order and does not stop at an error
(`netlink_rcv_skb` in net/netlink/af_netlink.c). Only the last request of a batch asks for an acknowledgement; the
others answer only when they fail. So a thousand changes cost a dozen system calls, and each failure still has its
request.
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import struct
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

__all__ = [
    "BATCH",
    "NETLINK_NETFILTER",
    "NETLINK_ROUTE",
    "NLM_F_ACK",
    "NLM_F_APPEND",
    "NLM_F_CREATE",
    "NLM_F_DUMP",
    "NLM_F_EXCL",
    "NLM_F_REPLACE",
    "NLM_F_REQUEST",
    "NetlinkError",
    "Request",
    "Socket",
    "attribute",
    "attributes",
    "left_over",
    "nested",
    "read_address",
    "read_text",
    "read_u32",
    "text",
    "u8",
    "u16",
    "u32",
]

NETLINK_ROUTE, NETLINK_NETFILTER = 0, 12
NLM_F_REQUEST, NLM_F_ACK = 0x1, 0x4
NLM_F_DUMP_INTR = 0x10
NLM_F_DUMP = 0x300
NLM_F_REPLACE, NLM_F_EXCL, NLM_F_CREATE, NLM_F_APPEND = 0x100, 0x200, 0x400, 0x800
NLM_F_CAPPED, NLM_F_ACK_TLVS = 0x100, 0x200
NLMSG_ERROR, NLMSG_DONE = 2, 3
NLMSGERR_ATTR_MSG = 1
NLA_TYPE_MASK = 0x3FFF
SOL_NETLINK = 270
NETLINK_CAP_ACK, NETLINK_EXT_ACK, NETLINK_GET_STRICT_CHK = 10, 11, 12

BATCH = 128  # requests in one sendmsg: more gains nothing measurable, and a send buffer holds it with room to spare
DUMPS_RESTARTED = 20  # how often a dump that the kernel calls inconsistent is asked for again
RECEIVE = 1 << 16  # bytes; the kernel fills up to 32 KiB a time in a dump. For 128 KiB malloc maps and unmaps pages

_HEADER = struct.Struct("=IHHII")
_ATTRIBUTE, _U32 = struct.Struct("=HH"), struct.Struct("=I")
_ANY = range(NLA_TYPE_MASK + 1)
_NOTHING: Mapping[int, bytes] = {}
_INT = struct.Struct("=i")


class Request(NamedTuple):
    """One message to the kernel without its header: type, flags, and everything after the header."""

    type: int
    flags: int
    body: bytes


class NetlinkError(OSError):
    """The kernel refused a request; `index` is its place in the batch, `filename` what the kernel says about why."""

    def __init__(self, number: int, message: str | None, index: int = 0) -> None:
        super().__init__(number, message or os.strerror(number))
        self.index = index


def attribute(kind: int, data: bytes) -> bytes:
    """An attribute with its header and padding."""
    size = len(data) + 4
    return _ATTRIBUTE.pack(size, kind) + data + b"\0" * (-size & 3)


def u8(kind: int, value: int) -> bytes:
    """An attribute that holds one byte."""
    return struct.pack("=HHB3x", 5, kind, value)


def u16(kind: int, value: int) -> bytes:
    """An attribute that holds 16 bits in the machine's byte order."""
    return struct.pack("=HHH2x", 6, kind, value)


def u32(kind: int, value: int) -> bytes:
    """An attribute that holds 32 bits in the machine's byte order."""
    return struct.pack("=HHI", 8, kind, value)


def text(kind: int, value: str) -> bytes:
    """An attribute that holds a string, with the zero byte that the kernel's policies ask for."""
    return attribute(kind, value.encode() + b"\0")


def nested(kind: int, *parts: bytes) -> bytes:
    """An attribute that holds attributes."""
    return attribute(kind, b"".join(parts))


def attributes(data: bytes, offset: int = 0, wanted: Container[int] = _ANY) -> dict[int, bytes]:
    """The attributes in `data` from `offset` on, by type; of one that comes twice, the last. Only those `wanted`."""
    found: dict[int, bytes] = {}
    unpack, end = _ATTRIBUTE.unpack_from, len(data)
    while offset + 4 <= end:
        size, kind = unpack(data, offset)
        if size < 4:
            break
        kind &= NLA_TYPE_MASK
        if kind in wanted:
            found[kind] = data[offset + 4 : offset + size]
        offset += (size + 3) & ~3
    return found


def read_text(data: bytes | None) -> str:
    """An attribute's text; "" where there is none."""
    return data.rstrip(b"\0").decode(errors="replace") if data else ""


def read_u32(data: bytes | None) -> int:
    """An attribute's number; 0 where there is none."""
    return int(_U32.unpack(data)[0]) if data else 0


def read_address(family: int, data: bytes | None) -> str:
    """An attribute's IP address; "" where there is none."""
    return socket.inet_ntop(family, data) if data else ""


def left_over(found: dict[int, bytes], told: set[int]) -> Mapping[int, bytes]:
    """What an answer has beside the attributes that its message tells; nearly always nothing."""
    return _NOTHING if found.keys() <= told else {kind: data for kind, data in found.items() if kind not in told}


def _messages(data: bytes) -> Iterator[tuple[int, int, int, bytes]]:
    """Type, flags, sequence number and body of each message in what one recv gave."""
    offset, end = 0, len(data)
    while offset + 16 <= end:
        size, kind, flags, sequence, _ = _HEADER.unpack_from(data, offset)
        if size < 16:
            break
        yield kind, flags, sequence, data[offset + 16 : offset + size]
        offset += (size + 3) & ~3


def _error(flags: int, body: bytes, offset: int = 0) -> tuple[int, str | None]:
    """The error number (0 where it is an acknowledgement) and the kernel's own words on it, if any.

    These are at `offset`, or 0 where the header of the request comes before them, or all of it.
    """
    number = -_INT.unpack_from(body)[0]
    if not number or not flags & NLM_F_ACK_TLVS:
        return number, None
    if not offset:
        offset = 20 if flags & NLM_F_CAPPED else 4 + (_HEADER.unpack_from(body, 4)[0] + 3 & ~3)
    said = attributes(body, offset).get(NLMSGERR_ATTR_MSG)
    return number, said.rstrip(b"\0").decode(errors="replace") if said else None


class Socket:
    """A netlink socket of the namespace that the calling thread is in when it is made; it stays in that namespace."""

    def __init__(self, protocol: int = NETLINK_ROUTE, groups: int = 0) -> None:
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, protocol)
        self._socket.setsockopt(SOL_NETLINK, NETLINK_EXT_ACK, 1)
        self._socket.setsockopt(SOL_NETLINK, NETLINK_CAP_ACK, 1)
        if protocol == NETLINK_ROUTE:
            self._socket.setsockopt(SOL_NETLINK, NETLINK_GET_STRICT_CHK, 1)
        self._socket.bind((0, groups))
        self._sequence = 0

    @classmethod
    def adopt(cls, fd: int) -> Socket:
        """One that another process has made and handed over; nothing may have been asked by it."""
        adopted = cls.__new__(cls)
        adopted._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_ROUTE, fileno=fd)
        adopted._sequence = 0
        return adopted

    def close(self) -> None:
        self._socket.close()

    def fileno(self) -> int:
        return self._socket.fileno()

    def transact(self, requests: Sequence[Request]) -> list[NetlinkError]:
        """Send the requests and wait until the kernel has worked through all; the refused ones' errors, in order.

        After an error the kernel goes on with the requests behind it, so the caller must expect those to be done. A
        batch that couldn't be sent, or whose answers found no room (ENOBUFS), counts as refused whole: what was done of
        it nobody knows, so the caller must look.
        """
        failed: list[NetlinkError] = []
        for start in range(0, len(requests), BATCH):
            batch = requests[start : start + BATCH]
            try:
                failed += self._transact(batch, start)
            except OSError as error:
                number = error.errno or errno.EIO
                failed += [NetlinkError(number, None, start + place) for place in range(len(batch))]
        return failed

    def _transact(self, requests: Sequence[Request], start: int) -> list[NetlinkError]:
        first = self._sequence + 1
        last = self._sequence = self._sequence + len(requests)
        parts: list[bytes] = []
        for sequence, (kind, flags, body) in enumerate(requests, first):
            flags |= NLM_F_REQUEST | (NLM_F_ACK if sequence == last else 0)
            parts.append(_HEADER.pack(16 + len(body), kind, flags, sequence, 0))
            parts.append(body + b"\0" * (-len(body) & 3))
        self._socket.send(b"".join(parts))
        failed: list[NetlinkError] = []
        while True:
            for kind, flags, sequence, body in _messages(self._receive()):
                if kind != NLMSG_ERROR or not first <= sequence <= last:
                    continue
                number, said = _error(flags, body)
                if number:
                    failed.append(NetlinkError(number, said, start + sequence - first))
                if sequence == last:
                    return failed

    def _receive(self) -> bytes:
        """What the kernel has to say next.

        Where an answer found no room it says ENOBUFS, once, and drops what else finds none without a word until all is
        read that had found room (`netlink_overrun`). So that is read here: the next request starts with an empty queue.
        """
        try:
            return self._heard()
        except OSError as error:
            if error.errno == errno.ENOBUFS:
                with contextlib.suppress(BlockingIOError):
                    while self._socket.recv(RECEIVE, socket.MSG_DONTWAIT):
                        pass
            raise

    def _heard(self) -> bytes:
        """What comes next from the kernel, whose number is 0. Who has CAP_NET_ADMIN in there can send to us as well."""
        while True:
            data, (sender, _) = self._socket.recvfrom(RECEIVE)
            if not sender:
                return data

    def ask(self, request: Request) -> bytes:
        """The body of the one message that answers `request`; raises NetlinkError where the kernel refuses."""
        self._sequence += 1
        kind, flags, body = request
        header = _HEADER.pack(16 + len(body), kind, flags | NLM_F_REQUEST, self._sequence, 0)
        self._socket.send(header + body)
        while True:
            for answer, answer_flags, sequence, answer_body in _messages(self._receive()):
                if sequence != self._sequence:
                    continue
                if answer == NLMSG_ERROR:
                    number, said = _error(answer_flags, answer_body)
                    raise NetlinkError(number, said)
                return answer_body

    def dump(self, request: Request) -> list[bytes]:
        """The bodies of all messages that answer a dump; asked again where the kernel says it changed meanwhile."""
        for _ in range(DUMPS_RESTARTED):
            bodies, consistent = self._dump(request)
            if consistent:
                return bodies
        raise NetlinkError(errno.EAGAIN, "what was to be read went on changing")

    def _dump(self, request: Request) -> tuple[list[bytes], bool]:
        self._sequence += 1
        wanted = self._sequence
        kind, flags, body = request
        self._socket.send(_HEADER.pack(16 + len(body), kind, flags | NLM_F_REQUEST | NLM_F_DUMP, wanted, 0) + body)
        bodies: list[bytes] = []
        consistent = True
        while True:
            for answer, answer_flags, sequence, answer_body in _messages(self._receive()):
                if sequence != wanted:
                    continue
                if answer_flags & NLM_F_DUMP_INTR:
                    consistent = False
                if answer == NLMSG_ERROR:
                    raise NetlinkError(*_error(answer_flags, answer_body))
                if answer == NLMSG_DONE:
                    if _INT.unpack_from(answer_body)[0] < 0:  # begun, and broken off
                        raise NetlinkError(*_error(answer_flags, answer_body, _INT.size))
                    return bodies, consistent
                bodies.append(answer_body)

    def events(self) -> Iterable[tuple[int, bytes]]:
        """Type and body of each notification in the next read; blocks until there is one."""
        return [(kind, body) for kind, _, _, body in _messages(self._heard())]
