"""Frames of one link as they pass, written as a capture file (pcap) that Wireshark and tcpdump read while it grows.

The socket sees what the link's driver receives and sends (packet(7)). The link is not made promiscuous: watching a
network shall not change it. What the kernel takes off a frame on the way, a VLAN tag, comes beside it and is put back.
"""

from __future__ import annotations

import contextlib
import errno
import os
import select
import socket
import struct
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

from guestwire.signals import asked_to_stop

__all__ = ["SNAPLEN", "Captured", "Frame", "capture", "frames", "watch"]

SNAPLEN = 262144  # bytes kept of a frame; tcpdump's own figure, above any that segmentation offload makes

# include/uapi/linux/if_packet.h, if_ether.h, if_arp.h; include/uapi/asm-generic/socket.h
SOL_PACKET = 263
PACKET_STATISTICS, PACKET_AUXDATA = 6, 8
PACKET_OUTGOING = 4
TP_STATUS_VLAN_VALID, TP_STATUS_VLAN_TPID_VALID = 0x10, 0x40
ETH_P_ALL, ETH_P_8021Q = 0x0003, 0x8100
ARPHRD_ETHER, ARPHRD_RAWIP, ARPHRD_LOOPBACK, ARPHRD_NONE = 1, 519, 772, 0xFFFE
SO_TIMESTAMPNS, SO_RCVBUFFORCE = 35, 33

# The classic capture file: https://datatracker.ietf.org/doc/draft-ietf-opsawg-pcap/
MAGIC_NANOSECONDS = 0xA1B23C4D
LINKTYPE_ETHERNET, LINKTYPE_RAW = 1, 101
LINKTYPES = {
    ARPHRD_ETHER: LINKTYPE_ETHERNET,
    ARPHRD_LOOPBACK: LINKTYPE_ETHERNET,
    ARPHRD_NONE: LINKTYPE_RAW,  # a tun device: IP packets with nothing before them
    ARPHRD_RAWIP: LINKTYPE_RAW,
}

QUEUE = 32 << 20  # bytes of frames that wait in the kernel while we write
BATCH = 1 << 20  # bytes after which a batch is written, though more frames wait

_HEADER = struct.Struct("=IHHiIII")
_RECORD = struct.Struct("=IIII")
_AUXDATA = struct.Struct("=IIIHHHH")
_TIMESPEC = struct.Struct("@ll")
_TAG = struct.Struct("!HH")
_ANCILLARY = socket.CMSG_SPACE(_AUXDATA.size) + socket.CMSG_SPACE(_TIMESPEC.size)


class Captured(NamedTuple):
    """How many frames were written, and how many the kernel dropped because we were too slow."""

    frames: int
    dropped: int


class Frame(NamedTuple):
    """A frame as it stands in a capture file: when it passed, in nanoseconds since 1970, its whole length in bytes, and
    of them those that were kept."""

    at: int
    length: int
    data: bytes

    def to_json(self) -> dict[str, object]:
        """As JSON knows it: the time in seconds, the bytes in hexadecimal digits."""
        return {"at": self.at / 1e9, "length": self.length, "data": self.data.hex()}


def frames(captured: bytes) -> Iterator[Frame]:
    """The frames in what `capture` wrote."""
    at = _HEADER.size
    while at < len(captured):
        seconds, nanoseconds, kept, length = _RECORD.unpack_from(captured, at)
        at += _RECORD.size + kept
        yield Frame(seconds * 10**9 + nanoseconds, length, captured[at - kept : at])


def watch(link: str) -> socket.socket:
    """A socket that gets each frame of `link` from now on; it belongs to the namespace that the calling thread is in.

    Raises OSError: ENODEV where there is no such link, EPERM, or EPROTONOSUPPORT where its frames are of a kind that
    isn't known here.
    """
    # Protocol 0: nothing is received before it is bound to the link.
    sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW | socket.SOCK_CLOEXEC, 0)
    try:
        sock.setsockopt(SOL_PACKET, PACKET_AUXDATA, 1)
        sock.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        try:
            sock.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, QUEUE)
        except PermissionError:  # in a user namespace
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, QUEUE)
        sock.bind((link, ETH_P_ALL))
        hardware = sock.getsockname()[3]
        if hardware not in LINKTYPES:
            raise OSError(errno.EPROTONOSUPPORT, f"frames of its kind ({hardware}) can't be captured", link)
    except OSError as error:
        sock.close()
        raise OSError(error.errno, error.strerror, link) from None
    return sock


def capture(sock: socket.socket, out: BinaryIO, *, count: int | None = None, snaplen: int = SNAPLEN) -> Captured:
    """Write the frames that `sock` gets to `out` until there are `count`, a signal asks for an end, or the reader goes.

    Whatever has come is written out at once, and whole frames only. Raises OSError where the link goes down or away
    (ENETDOWN, ENODEV), after all frames before that, and where `out` can't be written. The socket stays the caller's.
    """
    link, _, _, hardware, _ = sock.getsockname()
    if hardware not in LINKTYPES:
        raise _gone(errno.ENODEV, link)
    frames = _Frames(sock, snaplen, looped=hardware == ARPHRD_LOOPBACK)
    written = 0
    with asked_to_stop() as stop, contextlib.suppress(BrokenPipeError):
        out.write(_HEADER.pack(MAGIC_NANOSECONDS, 2, 4, 0, 0, snaplen, LINKTYPES[hardware]))
        out.flush()
        poll = select.poll()
        poll.register(sock, select.POLLIN)
        poll.register(stop, select.POLLIN)
        with contextlib.suppress(OSError, ValueError, AttributeError):  # a stream without a descriptor
            poll.register(out.fileno(), 0)  # tells when the reader has gone, though no frame comes
        while count is None or written < count:
            ready = {fd for fd, _ in poll.poll()}
            if not ready <= {sock.fileno(), stop}:
                break
            batch = frames.take(None if count is None else count - written)
            out.write(b"".join(batch))
            out.flush()
            written += len(batch)
            if frames.error:
                raise _gone(frames.error, link)
            if stop in ready:
                break
    return Captured(written, _dropped(sock))


class _Frames:
    """Takes frames from a socket, as records of a capture file."""

    def __init__(self, sock: socket.socket, snaplen: int, *, looped: bool) -> None:
        self._sock = sock
        self._snaplen = snaplen
        self._looped = looped
        self.error = 0
        self._buffer = bytearray(snaplen)
        self._view = memoryview(self._buffer)

    def take(self, most: int | None) -> list[bytes]:
        """The frames that have come, at most so many. What the kernel says against the link goes to `error`."""
        found: list[bytes] = []
        size = 0
        while size < BATCH and (most is None or len(found) < most):
            try:
                record = self._record()
            except BlockingIOError:
                break
            except OSError as error:  # told once, and before the frames that still wait
                self.error = error.errno or errno.EIO
                continue
            if record:
                found.append(record)
                size += len(record)
        return found

    def _record(self) -> bytes:
        size, ancillary, _, source = self._sock.recvmsg_into(
            [self._buffer], _ANCILLARY, socket.MSG_DONTWAIT | socket.MSG_TRUNC
        )
        if self._looped and source[2] == PACKET_OUTGOING:
            return b""  # on lo each frame is seen as it goes and as it comes
        seconds = nanoseconds = 0
        whole, tag = size, b""
        for level, kind, data in ancillary:
            if level == SOL_PACKET and kind == PACKET_AUXDATA:
                status, whole, _, _, _, tci, tpid = _AUXDATA.unpack_from(data)
                if status & TP_STATUS_VLAN_VALID:
                    tag = _TAG.pack(tpid if status & TP_STATUS_VLAN_TPID_VALID else ETH_P_8021Q, tci)
            elif level == socket.SOL_SOCKET and kind == SO_TIMESTAMPNS:
                seconds, nanoseconds = _TIMESPEC.unpack_from(data)
        frame = bytes(self._view[: min(size, self._snaplen)])
        if tag:  # it stood behind the two MACs
            frame = (frame[:12] + tag + frame[12:])[: self._snaplen]
        return _RECORD.pack(seconds, nanoseconds, len(frame), whole + len(tag)) + frame


def _gone(number: int, link: str) -> OSError:
    """The error as it is told: what has become of the link."""
    said = {errno.ENETDOWN: "the link is down", errno.ENODEV: "the link is gone", errno.ENXIO: "the link is gone"}
    return OSError(number, said.get(number, os.strerror(number)), link)


def _dropped(sock: socket.socket) -> int:
    """How many frames didn't find room in the queue; the kernel counts anew from here."""
    try:
        _, drops = struct.unpack("=II", sock.getsockopt(SOL_PACKET, PACKET_STATISTICS, 8))
    except OSError:
        return 0
    return int(drops)
