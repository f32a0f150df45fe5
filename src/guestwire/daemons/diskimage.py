"""Disk images: which format one has, what is in the way of using it, and who uses it already.

A guest writes to its disk what it likes, also a header of another format which names a file of the host's as its
backing file. So a format is never guessed from what a guest may have written: an image that is only read may be known
by its header, one that is written to is `raw` unless the file says otherwise. And an image whose header names another
file (a backing file, external data) is refused: opened, it would show the guest whatever the host has there.

The header of qcow2 is that of docs/interop/qcow2.txt, all numbers big-endian. QEMU locks single bytes of an image
(block/file-posix.c): byte 100 + N by who uses permission N, byte 200 + N by who doesn't share it; its locks belong to
the open file (F_OFD_SETLK in fcntl(2)).
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import stat
import struct
from collections.abc import Iterator
from dataclasses import dataclass

__all__ = ["FORMATS", "Image", "Unfit", "examine", "overlay", "users"]

FORMATS = ("qcow2", "raw")
QCOW2 = b"QFI\xfb"
OTHERS = {
    b"KDMV": "VMDK",
    b"conectix": "VHD",
    b"vhdxfile": "VHDX",
    b"QED\0": "QED",
    b"\x1f\x8b": "gzip",
    b"\xfd7zXZ": "xz",
    b"(\xb5/\xfd": "zstd",
    b"BZh": "bzip2",
    b"PK\3\4": "zip",
    b"<<< ": "VDI",
}
"""What other files begin with, among those that somebody may take for an image."""
HEADER = struct.Struct(">4sIQIIQ")  # magic, version, the backing file's name's place and length, cluster bits, size
FEATURES = 72  # where version 3 has its incompatible features
EXTERNAL_DATA = 1 << 2
SECTOR = 512
BOOTABLE = b"\x55\xaa"  # at the end of the first sector: an MBR, also that beside a GPT
WRITES = 101  # the byte that who writes to an image has locked: BLK_PERM_WRITE is permission 1
F_OFD_GETLK = 36  # include/uapi/asm-generic/fcntl.h
FLOCK = struct.Struct("hhqqi4x")


class Unfit(Exception):
    """Why an image can't be used, with what to do."""

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.message, self.hint = message, hint


@dataclass(frozen=True)
class Image:
    """An image: its format, and the size in bytes of the disk that it holds."""

    format: str
    size: int


def examine(path: str, wanted: str | None, *, written: bool, boots: bool) -> Image:
    """What the image at `path` is; `wanted` is the format that the file says, None where it says none.

    `written`: the guest writes to it. `boots`: nothing but it is there to boot from. Raises Unfit.
    """
    try:
        with open(path, "rb") as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode) and not stat.S_ISBLK(os.fstat(file.fileno()).st_mode):
                raise Unfit(f"{path} is no file.")
            head = file.read(SECTOR)
            length = file.seek(0, os.SEEK_END)
    except OSError as error:
        raise Unfit(f"{path} can't be opened: {error.strerror}.") from error
    is_qcow2 = head[:4] == QCOW2
    if wanted == "qcow2" and not is_qcow2:
        raise Unfit(f"{path} is no qcow2 image.", "Leave format out, or say raw.")
    if is_qcow2 and wanted is None and written and not path.endswith(".qcow2"):
        message = f"{path} begins like a qcow2 image, which a guest may have written there itself."
        raise Unfit(message, "Say which it is: format: qcow2, or format: raw.")
    if is_qcow2 and wanted != "raw":
        return Image("qcow2", _size_of_qcow2(path, head, length))
    other = next((name for magic, name in OTHERS.items() if head.startswith(magic)), None)
    if other is not None and wanted is None:
        hint = "`qemu-img convert -O qcow2` makes a qcow2 image of a disk's; one that is packed is unpacked first."
        raise Unfit(f"{path} is no disk image that can be used: it is {other}.", hint)
    if length < SECTOR or (boots and head[SECTOR - 2 :] != BOOTABLE):
        message = f"{path} is no disk image: it is neither qcow2 nor a disk with a boot sector."
        raise Unfit(message, "A raw disk without one needs a kernel beside it." if length >= SECTOR else None)
    return Image("raw", length)


def _size_of_qcow2(path: str, head: bytes, length: int) -> int:
    if len(head) < HEADER.size:
        raise Unfit(f"{path} is cut off: only {length} bytes of a qcow2 image.")
    _, version, place, size, _, octets = HEADER.unpack_from(head)
    if version not in (2, 3):
        raise Unfit(f"{path} is qcow2 of version {version}, which isn't known.")
    features = int.from_bytes(head[FEATURES : FEATURES + 8]) if version == 3 else 0
    flat = "`qemu-img convert -O qcow2 OLD NEW` makes one of its own of it."
    if place:
        with open(path, "rb") as file:
            file.seek(place)
            name = file.read(min(size, 1023)).decode(errors="replace")
        message = f"{path} has a backing file, {name}: an image may name any file of this host's so."
        raise Unfit(message, flat)
    if features & EXTERNAL_DATA:
        raise Unfit(f"{path} has its data in another file: an image may name any file of this host's so.", flat)
    return int(octets)


def overlay(path: str) -> tuple[str, int] | None:
    """The image that an overlay of ours names as lying under it, and its disk's size; None where it is none."""
    try:
        with open(path, "rb") as file:
            head = file.read(HEADER.size)
            magic, _, place, length, _, octets = HEADER.unpack(head)
            file.seek(place)
            name = file.read(length)
    except (OSError, struct.error):
        return None
    return (os.fsdecode(name), octets) if magic == QCOW2 else None


def users(path: str, *, write: bool) -> list[str]:
    """Who uses an image already in a way that stands against ours: with `write` anybody, else who writes to it.

    Each as "qemu-system-x86 (pid 12)"; "another process" where /proc doesn't show it. Raises OSError.
    """
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        start, length = (100, 200) if write else (WRITES, 1)
        asked = FLOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, start, length, 0)
        if FLOCK.unpack(fcntl.fcntl(fd, F_OFD_GETLK, asked))[0] == fcntl.F_UNLCK:
            return []
        seen = os.fstat(fd)
        return list(_holders(seen.st_dev, seen.st_ino)) or ["another process"]
    finally:
        os.close(fd)


def _holders(device: int, inode: int) -> Iterator[str]:
    """The processes that have a file open, as far as /proc shows them, but for this one."""
    for pid in filter(str.isdigit, os.listdir("/proc")):
        if int(pid) == os.getpid():
            continue
        with contextlib.suppress(OSError):
            for fd in os.scandir(f"/proc/{pid}/fd"):
                seen = os.stat(fd.path)
                if (seen.st_dev, seen.st_ino) == (device, inode):
                    with open(f"/proc/{pid}/comm") as file:
                        yield f"{file.read().strip()} (pid {pid})"
                    break
