"""Disk images: which format one has, what is in the way of using it, and who uses it already.

A guest writes to its disk what it likes, also a header of another format which names a file of the host's as its
backing file. So a format is never guessed from what a guest may have written: an image that is only read may be known
by its header, one that is written to is `raw` unless the file says otherwise.

An image's header may name another file, which lies under it (a backing file): opened, that shows the guest whatever the
host has there, and the header is by whoever made the image. So it must lie in the image's own folder, or in one of
that: what is there somebody has put beside the image. Its format must stand in the header, for the same reason as
above. External data is refused.

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
FEATURES, LENGTH, LENGTH_OF_2 = 72, 100, 72  # where version 3 has its incompatible features, and its header's length
EXTERNAL_DATA = 1 << 2
EXTENSION, BACKING_FORMAT = (
    struct.Struct(">II"),
    0xE2792ACA,
)  # what follows the header: type and length, then padding to 8
FIRST = 1 << 16  # bytes that are read of an image: its first cluster has all of these, and is no longer as a rule
MOST = 64  # layers of one disk
OTHER = "Name another file as the image."
FLAT = "`qemu-img convert -O qcow2 OLD NEW` makes one file of all."
SECTOR = 512
BOOTABLE = b"\x55\xaa"  # at the end of the first sector: an MBR, also that beside a GPT
WRITES = 101  # the byte that who writes to an image has locked: BLK_PERM_WRITE is permission 1
F_OFD_GETLK = 36  # include/uapi/asm-generic/fcntl.h
FLOCK = struct.Struct("hhqqi4x")


class Unfit(Exception):
    """Why an image can't be used, with what to do."""

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.message, self.hint = message, hint


@dataclass(frozen=True)
class Image:
    """An image: its format, and the size in bytes of the disk that it holds.

    `under` are the files that lie under it, the topmost first, each with its format.
    """

    format: str
    size: int
    under: tuple[tuple[str, str], ...] = ()


def examine(path: str, wanted: str | None, *, written: bool, boots: bool) -> Image:
    """What the image at `path` is; `wanted` is the format that the file says, None where it says none.

    `written`: the guest writes to it. `boots`: nothing but it is there to boot from. Raises Unfit.
    """
    try:
        with open(path, "rb") as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode) and not stat.S_ISBLK(os.fstat(file.fileno()).st_mode):
                raise Unfit(f"{path} is no file.", OTHER)
            head = file.read(FIRST)
            length = file.seek(0, os.SEEK_END)
    except OSError as error:
        raise Unfit(f"{path} can't be opened: {error.strerror}.", OTHER) from error
    is_qcow2 = head[:4] == QCOW2
    if wanted == "qcow2" and not is_qcow2:
        raise Unfit(f"{path} is no qcow2 image.", "Leave format out, or say raw.")
    if is_qcow2 and wanted is None and written and not path.endswith(".qcow2"):
        message = f"{path} begins like a qcow2 image, which a guest may have written there itself."
        raise Unfit(message, "Say which it is: format: qcow2, or format: raw.")
    if is_qcow2 and wanted != "raw":
        size, under = _qcow2(path, head, length)
        return Image("qcow2", size, tuple(_layers(path, under)))
    other = next((name for magic, name in OTHERS.items() if head.startswith(magic)), None)
    if other is not None and wanted is None:
        hint = "`qemu-img convert -O qcow2` makes a qcow2 image of a disk's; one that is packed is unpacked first."
        raise Unfit(f"{path} is no disk image that can be used: it is {other}.", hint)
    if length < SECTOR or (boots and head[SECTOR - 2 : SECTOR] != BOOTABLE):
        message = f"{path} is no disk image: it is neither qcow2 nor a disk with a boot sector."
        raise Unfit(message, "A raw disk without one needs a kernel beside it." if length >= SECTOR else OTHER)
    return Image("raw", length)


def _qcow2(path: str, head: bytes, length: int) -> tuple[int, tuple[str, str] | None]:
    """The size of a qcow2 image's disk; the file that its header names as lying under it, and that one's format."""
    if len(head) < HEADER.size:
        raise Unfit(f"{path} is cut off: only {length} bytes of a qcow2 image.", OTHER)
    _, version, place, size, _, octets = HEADER.unpack_from(head)
    if version not in (2, 3):
        raise Unfit(f"{path} is qcow2 of version {version}, which isn't known.", OTHER)
    features = int.from_bytes(head[FEATURES : FEATURES + 8]) if version == 3 else 0
    if features & EXTERNAL_DATA:
        raise Unfit(f"{path} has its data in another file: an image may name any file of this host's so.", FLAT)
    if not place:
        return int(octets), None
    name = os.fsdecode(head[place : place + size])
    at = int.from_bytes(head[LENGTH : LENGTH + 4]) if version == 3 else LENGTH_OF_2
    for kind, content in _extensions(head, at):
        if kind == BACKING_FORMAT:
            return int(octets), (name, content.decode(errors="replace"))
    message = f"{path} doesn't say of what format {name} is, which lies under it; that isn't guessed."
    raise Unfit(message, f"`qemu-img rebase -u -b {name} -F FORMAT {path}` writes it there.")


def _extensions(head: bytes, at: int) -> Iterator[tuple[int, bytes]]:
    while at + EXTENSION.size <= len(head):
        kind, length = EXTENSION.unpack_from(head, at)
        if not kind:
            return
        at += EXTENSION.size
        yield kind, head[at : at + length]
        at += (length + 7) & ~7


def _layers(path: str, under: tuple[str, str] | None) -> Iterator[tuple[str, str]]:
    """The files that lie under an image, each with its format."""
    for _ in range(MOST):
        if under is None:
            return
        name, form = under
        place = os.path.join(os.path.dirname(path), name)
        folder = os.path.join(os.path.realpath(os.path.dirname(path)), "")
        if not os.path.realpath(place).startswith(folder):
            message = (
                f"{path} has a backing file in another folder, {name}: an image may name any file of this host's so."
            )
            raise Unfit(message, f"Have that beside it, or: {FLAT}")
        under = _layer(path, place, form)
        yield place, form
        path = place
    raise Unfit(f"{path} is the {MOST}th layer of its disk, or the layers go round in a circle.", FLAT)


def _layer(path: str, place: str, form: str) -> tuple[str, str] | None:
    """What the file at `place`, which lies under the image at `path`, names in its turn."""
    beneath = f"which lies under {path}"
    try:
        with open(place, "rb") as file:
            regular, head = stat.S_ISREG(os.fstat(file.fileno()).st_mode), file.read(FIRST)
    except OSError as error:
        raise Unfit(f"{place}, {beneath}, can't be opened: {error.strerror}.", "Put it there again.") from error
    if form not in FORMATS or not regular or (form == "qcow2" and head[:4] != QCOW2):
        what = "file" if not regular else f"{form} image" if form in FORMATS else "image that can be used"
        raise Unfit(f"{place}, {beneath}, is no {what}{'' if form in FORMATS else f', but {form}'}.", FLAT)
    return _qcow2(place, head, len(head))[1] if form == "qcow2" else None


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


def users(path: str, *, write: bool) -> dict[int, str]:
    """Who uses an image already in a way that stands against ours: with `write` anybody, else who writes to it.

    Each by its pid, as "qemu-system-x86 (pid 12)"; 0 is "another process", which /proc doesn't show. Raises OSError.
    """
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        start, length = (100, 200) if write else (WRITES, 1)
        asked = FLOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, start, length, 0)
        if FLOCK.unpack(fcntl.fcntl(fd, F_OFD_GETLK, asked))[0] == fcntl.F_UNLCK:
            return {}
        seen = os.fstat(fd)
        return dict(_holders(seen.st_dev, seen.st_ino)) or {0: "another process"}
    finally:
        os.close(fd)


def _holders(device: int, inode: int) -> Iterator[tuple[int, str]]:
    """The processes that have a file open, as far as /proc shows them, but for this one."""
    for pid in filter(str.isdigit, os.listdir("/proc")):
        if int(pid) == os.getpid():
            continue
        with contextlib.suppress(OSError):
            if any(_is_file(fd.path, device, inode) for fd in os.scandir(f"/proc/{pid}/fd")):
                with open(f"/proc/{pid}/comm", errors="replace") as file:
                    yield int(pid), f"{file.read().strip()} (pid {pid})"


def _is_file(path: str, device: int, inode: int) -> bool:
    with contextlib.suppress(OSError):  # it was closed meanwhile
        seen = os.stat(path)
        return (seen.st_dev, seen.st_ino) == (device, inode)
    return False
