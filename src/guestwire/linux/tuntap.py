"""Descriptors of tap, tun and macvtap links: a program holds one, and what it writes the kernel receives, and reverse.

/dev/net/tun is one door for all taps and tuns (drivers/net/tun.c, Documentation/networking/tuntap.rst). Opened, it
belongs to the calling thread's network namespace for ever; TUNSETIFF then says which link it is, and *makes* one where
there is none of that name. Without TUNSETPERSIST a link goes with its last descriptor.

A macvtap has a device node of its own instead, /dev/tapN (drivers/net/macvtap.c, tap.c). N is the link's index inside
its namespace while /dev is shared by all, so /dev/tap4 can be another namespace's link. The number that sysfs gives
inside the link's namespace is the true one: the link is opened by that here, through a node that nobody else sees.

Ioctl numbers are those of include/uapi/linux/if_tun.h; TUNSETOFFLOAD's bits of a later kernel are EINVAL on an earlier.
"""

from __future__ import annotations

import errno
import os
import stat
import struct
from fcntl import ioctl
from typing import NamedTuple

from guestwire.linux.libc import detached
from guestwire.linux.netlink import attributes

__all__ = [
    "DOOR",
    "IFF_MULTI_QUEUE",
    "IFF_NO_PI",
    "IFF_TAP",
    "IFF_TUN",
    "IFF_VNET_HDR",
    "TUN_F_CSUM",
    "TUN_F_TSO4",
    "TUN_F_TSO6",
    "TUN_F_TSO_ECN",
    "TUN_F_USO4",
    "TUN_F_USO6",
    "Standing",
    "Told",
    "attach",
    "device_number",
    "features",
    "header_size",
    "mac",
    "open_macvtap",
    "open_node",
    "set_group",
    "set_header_size",
    "set_offload",
    "set_owner",
    "set_persistent",
    "told",
    "try_node",
]

DOOR = "/dev/net/tun"

IFF_TUN, IFF_TAP = 0x1, 0x2
IFF_MULTI_QUEUE, IFF_NO_PI, IFF_VNET_HDR, IFF_TUN_EXCL = 0x100, 0x1000, 0x4000, 0x8000
TUN_F_CSUM, TUN_F_TSO4, TUN_F_TSO6, TUN_F_TSO_ECN, TUN_F_USO4, TUN_F_USO6 = 0x1, 0x2, 0x4, 0x8, 0x20, 0x40


def _write(number: int) -> int:
    return 1 << 30 | struct.calcsize("=i") << 16 | ord("T") << 8 | number  # _IOW('T', number, int), asm-generic/ioctl.h


def _read(number: int) -> int:
    return 2 << 30 | struct.calcsize("=i") << 16 | ord("T") << 8 | number  # _IOR


TUNSETIFF, TUNSETPERSIST, TUNSETOWNER, TUNSETGROUP = _write(202), _write(203), _write(204), _write(206)
TUNSETOFFLOAD, TUNSETVNETHDRSZ = _write(208), _write(216)
TUNGETFEATURES, TUNGETIFF, TUNGETVNETHDRSZ = _read(207), _read(210), _read(215)
SIOCGIFHWADDR = 0x8927
IFLA_TUN_OWNER, IFLA_TUN_GROUP, IFLA_TUN_TYPE = 1, 2, 3
IFLA_TUN_PERSIST, IFLA_TUN_MULTI_QUEUE, IFLA_TUN_NUM_QUEUES = 6, 7, 8

_IFREQ = struct.Struct("=16sH22x")
_INT = struct.Struct("=i")


class Told(NamedTuple):
    """What a descriptor says of itself: its link's name, and IFF_ flags."""

    name: str
    flags: int


class Standing(NamedTuple):
    """What rtnetlink tells of a tap or tun in its IFLA_INFO_DATA; `user` and `group` are -1 where it has none."""

    tun: bool
    user: int
    group: int
    persistent: bool
    multi_queue: bool
    queues: int

    @classmethod
    def parse(cls, data: bytes) -> Standing:
        """The attributes IFLA_TUN_* of include/uapi/linux/if_link.h; `queues` counts the descriptors."""
        get = attributes(data).get
        return cls(
            get(IFLA_TUN_TYPE) == bytes([IFF_TUN]),
            _number(get(IFLA_TUN_OWNER), -1),
            _number(get(IFLA_TUN_GROUP), -1),
            get(IFLA_TUN_PERSIST) == b"\1",
            get(IFLA_TUN_MULTI_QUEUE) == b"\1",
            _number(get(IFLA_TUN_NUM_QUEUES), 0),
        )


def _number(data: bytes | None, missing: int) -> int:
    return int(struct.unpack("=I", data)[0]) if data else missing


def features() -> int:
    """The IFF_ flags that the driver knows (TUNGETFEATURES); OSError where there is no /dev/net/tun, or no way in."""
    fd = os.open(DOOR, os.O_RDWR | os.O_CLOEXEC)
    try:
        return _get(fd, TUNGETFEATURES)
    finally:
        os.close(fd)


def attach(
    name: str,
    *,
    tun: bool = False,
    vnet_header: bool = False,
    multi_queue: bool = False,
    exclusive: bool = False,
    blocking: bool = True,
) -> int:
    """A descriptor of the tap (or tun) `name` of the calling thread's namespace, which is made where it isn't there.

    `exclusive` refuses one that is there. Frames come without the four bytes of packet information (IFF_NO_PI), with
    `vnet_header` behind a virtio-net header. Raises OSError: EPERM (another's, or to be made without CAP_NET_ADMIN),
    EBUSY (held, or with `exclusive` there), EINVAL (no tap or tun, the other of the two, or its queues are otherwise).
    """
    flags = (IFF_TUN if tun else IFF_TAP) | IFF_NO_PI
    flags |= IFF_VNET_HDR * vnet_header | IFF_MULTI_QUEUE * multi_queue | IFF_TUN_EXCL * exclusive
    return _become(os.open(DOOR, _mode(blocking)), name, flags)


def set_persistent(fd: int, wanted: bool = True) -> None:
    """Let the link stay when its last descriptor is closed, or go with it."""
    ioctl(fd, TUNSETPERSIST, int(wanted))


def set_owner(fd: int, user: int) -> None:
    """Let that user open the link besides who has CAP_NET_ADMIN; the kernel has no way back to nobody."""
    ioctl(fd, TUNSETOWNER, user)


def set_group(fd: int, group: int) -> None:
    """Let members of that group open the link; with an owner too, one must be both (tun_not_capable in tun.c)."""
    ioctl(fd, TUNSETGROUP, group)


def set_offload(fd: int, wanted: int) -> int:
    """Ask for segments that the kernel needn't cut and sums that it needn't finish (TUN_F_); which of them we have now.

    What this kernel doesn't know is left out: USO first, then TSO. The state is the link's, not the descriptor's. All
    need TUN_F_CSUM, and a descriptor with a virtio-net header to be told by.
    """
    uso, tso = TUN_F_USO4 | TUN_F_USO6, TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_TSO_ECN
    for having in (wanted, wanted & ~uso, wanted & ~uso & ~tso):
        try:
            ioctl(fd, TUNSETOFFLOAD, having)
        except OSError as error:
            refused = error
            if error.errno != errno.EINVAL:
                break
        else:
            return having
    raise refused


def set_header_size(fd: int, size: int) -> None:
    """Set how long the virtio-net header is before each frame, 10 or 12 bytes as a rule (TUNSETVNETHDRSZ)."""
    ioctl(fd, TUNSETVNETHDRSZ, _INT.pack(size))


def header_size(fd: int) -> int:
    """How long the virtio-net header before each frame is, where there is one."""
    return _get(fd, TUNGETVNETHDRSZ)


def told(fd: int) -> Told:
    """Whose descriptor it is (TUNGETIFF); OSError (EBADFD) where its link is gone."""
    name, flags = _IFREQ.unpack(ioctl(fd, TUNGETIFF, bytes(_IFREQ.size)))
    return Told(name.rstrip(b"\0").decode(errors="replace"), flags)


def mac(fd: int) -> str:
    """The MAC of a descriptor's link."""
    return ioctl(fd, SIOCGIFHWADDR, bytes(_IFREQ.size))[18:24].hex(":")


def device_number(name: str) -> int | None:
    """The number of the node of macvtap `name` in the calling thread's namespace; None where that link is none.

    It is read from a sysfs of that namespace, whichever the one at /sys shows. Raises FileNotFoundError where there is
    no such link, OSError where we may not mount (CAP_SYS_ADMIN).
    """
    sysfs = detached("sysfs")
    try:
        folder = os.open(f"class/net/{name}", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=sysfs)
        try:
            entry = next((e for e in os.listdir(folder) if e[:3] == "tap" and e[3:].isdecimal()), None)
            if entry is None:
                return None
            file = os.open(f"{entry}/dev", os.O_RDONLY | os.O_CLOEXEC, dir_fd=folder)
        finally:
            os.close(folder)
    finally:
        os.close(sysfs)
    with os.fdopen(file) as lines:
        major, minor = lines.read().split(":")
    return os.makedev(int(major), int(minor))


def open_macvtap(name: str, *, vnet_header: bool = False, multi_queue: bool = False, blocking: bool = True) -> int:
    """A descriptor of macvtap `name` of the calling thread's namespace; each is a queue of it.

    It is opened through a node of our own. Raises OSError: ENOENT where there is no such link, ENODEV where it is no
    macvtap, EPERM where we may not mount or not make device nodes (CAP_SYS_ADMIN, CAP_MKNOD, a container's rules).
    """
    number = device_number(name)
    if number is None:
        raise OSError(errno.ENODEV, "it is no macvtap", name)
    private = detached("tmpfs")
    try:
        os.mknod("node", stat.S_IFCHR | 0o600, number, dir_fd=private)
        fd = os.open("node", _mode(blocking), dir_fd=private)
    finally:
        os.close(private)
    return _become(fd, "", _macvtap_flags(vnet_header, multi_queue))


def open_node(node: str, *, vnet_header: bool = False, multi_queue: bool = False, blocking: bool = True) -> int:
    """A descriptor of the macvtap whose node that is; `told` and `mac` say which. Raises OSError."""
    return _become(os.open(node, _mode(blocking)), "", _macvtap_flags(vnet_header, multi_queue))


def _macvtap_flags(vnet_header: bool, multi_queue: bool) -> int:
    return IFF_TAP | IFF_NO_PI | IFF_VNET_HDR * vnet_header | IFF_MULTI_QUEUE * multi_queue


def try_node() -> None:
    """Open /dev/null through a node of our own, as a macvtap is opened: OSError where we may not make device nodes."""
    private = detached("tmpfs")
    try:
        os.mknod(
            "node", stat.S_IFCHR | 0o600, os.makedev(1, 3), dir_fd=private
        )  # Documentation/admin-guide/devices.txt
        os.close(os.open("node", os.O_RDWR | os.O_CLOEXEC, dir_fd=private))
    finally:
        os.close(private)


def _mode(blocking: bool) -> int:
    return os.O_RDWR | os.O_CLOEXEC | (0 if blocking else os.O_NONBLOCK)


def _become(fd: int, name: str, flags: int) -> int:
    try:
        ioctl(fd, TUNSETIFF, _IFREQ.pack(name.encode(), flags))
    except BaseException:
        os.close(fd)
        raise
    return fd


def _get(fd: int, request: int) -> int:
    return int(_INT.unpack(ioctl(fd, request, bytes(_INT.size)))[0])
