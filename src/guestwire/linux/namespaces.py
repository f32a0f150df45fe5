"""Named network namespaces, kept where iproute2 keeps them: each a bind mount of its file under /run/netns.

A thread enters a namespace to open a socket there and comes back; the socket stays in the namespace (ip-netns(8)).
A name can also be a signpost to a namespace that somebody else keeps (signposts.py).
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Iterator
from functools import cache

from guestwire.linux import signposts
from guestwire.linux.libc import (
    CLONE_NEWNET,
    MNT_DETACH,
    MS_BIND,
    MS_REC,
    MS_SHARED,
    mount,
    setns,
    umount,
    unshare,
)

__all__ = [
    "FOLDER",
    "clear",
    "create",
    "current",
    "delete",
    "entered",
    "exists",
    "identity",
    "is_called",
    "name_it",
    "names",
    "open_file",
    "open_namespace",
    "path",
    "prepare",
    "visiting",
    "with_processes",
]

FOLDER = "/run/netns"
SELF = "/proc/thread-self/ns/net"


def path(name: str) -> str:
    """The file that holds namespace `name`."""
    return f"{FOLDER}/{name}"


def names() -> list[str]:
    """The names of all named namespaces, sorted."""
    try:
        return sorted(os.listdir(FOLDER))
    except FileNotFoundError:
        return []


def exists(name: str) -> bool:
    """Whether a namespace has that name."""
    try:
        os.close(open_namespace(name))
    except (OSError, ValueError):
        return False
    return "/" not in name


def with_processes() -> set[int]:
    """The identities of the namespaces that a process is in, as far as we may look."""
    found = set()
    for pid in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError):  # it has ended, or is none of ours to look at
            found.add(os.stat(f"/proc/{pid}/ns/net").st_ino)
    return found


def current() -> int:
    """A descriptor of the calling thread's namespace."""
    return os.open(SELF, os.O_RDONLY | os.O_CLOEXEC)


def open_namespace(name: str) -> int:
    """A descriptor of namespace `name`; raises FileNotFoundError, also where no namespace is mounted.

    A signpost whose process has ended leads nowhere, though the number of that process may be another's by now.
    """
    file = path(name)
    try:
        return open_file(file, os.O_NOFOLLOW)
    except OSError as error:
        if error.errno != errno.ELOOP:
            raise
    signpost = signposts.read(file)
    try:
        fd = open_file(signpost.target if signpost else file)
    except OSError as error:
        if error.errno != errno.ELOOP:
            raise
        raise FileNotFoundError(errno.ENOENT, "these symbolic links lead nowhere", file) from None
    if signpost is not None and not signpost.leads_there:
        os.close(fd)
        raise FileNotFoundError(errno.ENOENT, "the process that it leads to has ended", file)
    return fd


def open_file(file: str, flags: int = 0) -> int:
    """A descriptor of the namespace that a file holds; raises as `open_namespace` does."""
    fd = os.open(file, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | flags)  # which a FIFO would wait at
    # A leftover file without its mount is an ordinary file on /run's device.
    if os.fstat(fd).st_dev != _device():
        os.close(fd)
        raise FileNotFoundError(errno.ENOENT, "this file holds no network namespace", file)
    return fd


@cache
def _device() -> int:
    """The number of the one file system that all namespaces lie on (nsfs)."""
    return os.stat(SELF).st_dev


def identity(fd: int) -> int:
    """A number that no other living namespace has."""
    return os.fstat(fd).st_ino


def is_called(fd: int, name: str) -> bool:
    """Whether the namespace of `fd`, which is held by that, is the one of that name."""
    try:
        return os.path.samestat(os.fstat(fd), os.stat(path(name)))
    except FileNotFoundError:
        return False


def prepare() -> None:
    """Make the folder as `ip netns add` does: a shared mount, so that other mount namespaces see what is mounted in it.

    Must be called once before `create`. A folder that is there but no mount would be covered by the next `ip netns
    add`.
    """
    os.makedirs(FOLDER, mode=0o755, exist_ok=True)
    try:
        mount("", FOLDER, None, MS_SHARED | MS_REC)  # os.path.ismount doesn't see a folder that is bound to itself
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
        mount(FOLDER, FOLDER, None, MS_BIND | MS_REC)
        mount("", FOLDER, None, MS_SHARED | MS_REC)


def create(name: str, back: int) -> None:
    """Make namespace `name` and leave the calling thread IN it; setns(back) brings it home.

    That spares a way in to a caller who opens a socket there next. Raises FileExistsError where the name is taken.
    After any failure the thread is in `back` and nothing of the name remains.
    """
    file = _place(name)
    try:
        unshare(CLONE_NEWNET)
        mount(SELF, file, None, MS_BIND)
    except BaseException:
        setns(back, CLONE_NEWNET)
        os.unlink(file)
        raise


def name_it(name: str, fd: int) -> None:
    """Give a namespace that has none yet its name. Raises as `create`, and nothing of the name remains then."""
    file = _place(name)
    try:
        mount(f"/proc/thread-self/fd/{fd}", file, None, MS_BIND)
    except BaseException:
        os.unlink(file)
        raise


def _place(name: str) -> str:
    """A new empty file for a namespace to be mounted on; its sticky bit says that it's ours (`clear`)."""
    file = path(name)
    clear(name)
    os.close(os.open(file, os.O_RDONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, stat.S_ISVTX | 0o444))
    return file


def clear(name: str) -> None:
    """Take away the file that a name of ours was mounted on, or was to be, where we were killed and nothing is."""
    file = path(name)
    with contextlib.suppress(FileNotFoundError):
        mode = os.lstat(file).st_mode
        if stat.S_ISREG(mode) and mode & stat.S_ISVTX:  # a namespace has no such bit
            os.unlink(file)


def delete(name: str) -> None:
    """Take the name from a namespace; the kernel ends it once no process or descriptor is left in it."""
    file = path(name)
    try:
        umount(file, MNT_DETACH)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOENT):
            raise
    with contextlib.suppress(FileNotFoundError):
        os.unlink(file)


@contextlib.contextmanager
def entered(fd: int, back: int) -> Iterator[None]:
    """Run a block with the calling thread in the namespace of `fd`; afterwards it is in that of `back`."""
    setns(fd, CLONE_NEWNET)
    try:
        yield
    finally:
        setns(back, CLONE_NEWNET)


@contextlib.contextmanager
def visiting(name: str) -> Iterator[None]:
    """Run a block with the calling thread in the namespace of that name, then come back; "" is the one it is in.

    Raises FileNotFoundError where there is none of that name.
    """
    if not name:
        yield
        return
    there, home = open_namespace(name), current()
    try:
        with entered(there, home):
            yield
    finally:
        os.close(there)
        os.close(home)
