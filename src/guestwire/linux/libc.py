"""System calls that Python 3.11 lacks: unshare, setns, mount, umount2 and a few by number."""

from __future__ import annotations

import ctypes
import os

__all__ = [
    "CLONE_NEWNET",
    "CLONE_NEWNS",
    "CLONE_NEWPID",
    "CLONE_NEWUSER",
    "MNT_DETACH",
    "MS_BIND",
    "MS_NODEV",
    "MS_NOEXEC",
    "MS_NOSUID",
    "MS_PRIVATE",
    "MS_RDONLY",
    "MS_REC",
    "MS_REMOUNT",
    "MS_SHARED",
    "MS_SLAVE",
    "detached",
    "mount",
    "pidfd_getfd",
    "setns",
    "umount",
    "unshare",
]

# include/uapi/linux/sched.h
CLONE_NEWNS = 0x00020000
CLONE_NEWUSER = 0x10000000
CLONE_NEWPID = 0x20000000
CLONE_NEWNET = 0x40000000
# include/uapi/linux/mount.h
MS_RDONLY = 0x1
MS_NOSUID = 0x2
MS_NODEV = 0x4
MS_NOEXEC = 0x8
MS_REMOUNT = 0x20
MS_BIND = 0x1000
MS_REC = 0x4000
MS_PRIVATE = 1 << 18
MS_SLAVE = 1 << 19
MS_SHARED = 1 << 20
MNT_DETACH = 2
FSOPEN_CLOEXEC = FSMOUNT_CLOEXEC = 1
FSCONFIG_CMD_CREATE = 6
# include/uapi/asm-generic/unistd.h; the same on all architectures but alpha and MIPS, which add to it. Linux 5.2
SYS_FSOPEN, SYS_FSCONFIG, SYS_FSMOUNT = 430, 431, 432
SYS_PIDFD_GETFD = 438  # Linux 5.6

_libc = ctypes.CDLL(None, use_errno=True)


def _check(result: int, what: str) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), what)


def unshare(flags: int) -> None:
    """Give the calling thread new namespaces of the kinds in `flags` (unshare(2)); raises OSError."""
    _check(_libc.unshare(flags), "unshare")


def setns(fd: int, flags: int = 0) -> None:
    """Move the calling thread into the namespace that `fd` stands for (setns(2)); raises OSError."""
    _check(_libc.setns(fd, flags), "setns")


def mount(source: str, target: str, kind: str | None = None, flags: int = 0, data: str | None = None) -> None:
    """Mount `source` on `target` (mount(2)); raises OSError that names the target."""
    encoded = [None if text is None else text.encode() for text in (source, target, kind, data)]
    _check(_libc.mount(encoded[0], encoded[1], encoded[2], ctypes.c_ulong(flags), encoded[3]), target)


def umount(target: str, flags: int = 0) -> None:
    """Unmount `target` (umount2(2)); raises OSError that names it."""
    _check(_libc.umount2(target.encode(), flags), target)


def detached(kind: str) -> int:
    """A descriptor of a new file system of that kind, mounted nowhere: only who has the descriptor sees it.

    It belongs to the namespaces that the calling thread is in (a sysfs to the network namespace), and ends with its
    last descriptor (fsopen in linux/Documentation/filesystems/mount_api.rst). Raises OSError.
    """
    context = _call(SYS_FSOPEN, kind.encode(), FSOPEN_CLOEXEC)
    try:
        _call(SYS_FSCONFIG, context, FSCONFIG_CMD_CREATE, None, None, 0)
        return _call(SYS_FSMOUNT, context, FSMOUNT_CLOEXEC, 0)
    finally:
        os.close(context)


def pidfd_getfd(process: int, fd: int) -> int:
    """A copy of another process's descriptor (pidfd_getfd(2)); raises OSError, EPERM where we may not trace it."""
    return _call(SYS_PIDFD_GETFD, process, fd, 0)


def _call(number: int, *arguments: bytes | int | None) -> int:
    result = int(_libc.syscall(ctypes.c_long(number), *arguments))
    _check(min(result, 0), f"system call {number}")
    return result
