"""The virtio-net header before each frame of a descriptor that has one: what of the frame's work is left to be done.

With it, and offloads turned on, the kernel hands over segments of up to 64 KiB that it hasn't cut, and frames whose
sums it hasn't finished; it takes the same. One such segment costs what one small frame does, so this is where user
space gets its speed from (struct virtio_net_hdr in include/uapi/linux/virtio_net.h; VIRTIO 1.2, 5.1.6).
"""

from __future__ import annotations

import struct
from enum import IntEnum, IntFlag
from typing import NamedTuple

from guestwire.linux import tuntap

__all__ = ["NEEDS_CSUM", "Gso", "Offload", "VnetHeader", "complete_checksum"]

NEEDS_CSUM = 1
"""The flag that says that the frame's sum isn't finished."""

_HEADER = struct.Struct("=BBHHHH")  # the machine's byte order, unless somebody asks for another (TUNSETVNETLE)
_BUFFERS = 2  # bytes of num_buffers, in the 12-byte form


class Offload(IntFlag):
    """What a reader takes upon itself (TUN_F_ in include/uapi/linux/if_tun.h). All the others need CSUM."""

    CSUM = tuntap.TUN_F_CSUM
    TSO4 = tuntap.TUN_F_TSO4
    TSO6 = tuntap.TUN_F_TSO6
    TSO_ECN = tuntap.TUN_F_TSO_ECN
    USO4 = tuntap.TUN_F_USO4  # Linux 6.2; both or none
    USO6 = tuntap.TUN_F_USO6


class Gso(IntEnum):
    """What a segment is to be cut into; ECN may be or-ed to it."""

    NONE = 0
    TCPV4 = 1
    UDP = 3
    TCPV6 = 4
    UDP_L4 = 5
    ECN = 0x80


class VnetHeader(NamedTuple):
    """What is left to be done to a frame; sizes and offsets in bytes, offsets from the frame's first.

    `hdr_len` is a hint that can be the whole first packet: parse the frame's own headers.
    """

    flags: int = 0
    gso_type: int = Gso.NONE
    hdr_len: int = 0
    gso_size: int = 0
    csum_start: int = 0
    csum_offset: int = 0

    @classmethod
    def parse(cls, buffer: bytes | bytearray | memoryview, offset: int = 0) -> VnetHeader:
        """The header in a buffer; raises ValueError where it is too short to hold one."""
        if len(buffer) - offset < _HEADER.size:
            raise ValueError(f"a virtio-net header has {_HEADER.size} bytes, and here are {len(buffer) - offset}")
        return cls(*_HEADER.unpack_from(buffer, offset))

    def pack(self, size: int = _HEADER.size) -> bytes:
        """The header as bytes: 10 of them, or 12 with num_buffers behind, which is 0 here as the kernel wants it."""
        if size not in (_HEADER.size, _HEADER.size + _BUFFERS):
            raise ValueError(f"a virtio-net header has {_HEADER.size} or {_HEADER.size + _BUFFERS} bytes, not {size}")
        return _HEADER.pack(*self) + bytes(size - _HEADER.size)


def complete_checksum(header: VnetHeader, frame: bytearray | memoryview) -> VnetHeader:
    """Finish a frame's sum in place, as one must who asked for Offload.CSUM and sends the frame where sums are whole.

    The header that holds then. A frame that needs none is left alone. Raises ValueError where it is a segment yet to be
    cut, or where what the header says lies outside the frame; the frame is as it was then.
    """
    if not header.flags & NEEDS_CSUM:
        return header
    if header.gso_type != Gso.NONE:
        raise ValueError("this is a segment: each packet that it is cut into has a sum of its own")
    at = header.csum_start + header.csum_offset
    if at + 2 > len(frame):
        raise ValueError(f"the sum would be at byte {at} of a frame of {len(frame)}")
    covered = bytes(frame[header.csum_start :])
    # The field holds the pseudo-header's sum. Adding up in 16 bits with carry is a remainder modulo 2**16 - 1, and
    # 0 is written as 0xFFFF, since in UDP 0 means none (RFC 768; skb_checksum_help in net/core/dev.c).
    total = int.from_bytes(covered + bytes(len(covered) % 2)) % 0xFFFF
    struct.pack_into("!H", frame, at, 0xFFFF - total)
    return header._replace(flags=header.flags & ~NEEDS_CSUM, csum_start=0, csum_offset=0)
