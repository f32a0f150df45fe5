"""A world where an ordinary user may build networks: user, mount, network and PID namespaces, kept by a small process.

In it the user is root: over a network namespace of its own, an empty /run (so /run/netns too), a /proc of its own, and
an /etc whose netns folder can be written. The keeper is process 1 of the PID namespace, so whatever runs in there dies
with it, and after the last process the kernel takes back all the rest (user_namespaces(7), pid_namespaces(7)).
"""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import socket
import sys
from collections.abc import Callable
from typing import NoReturn

from guestwire.linux import keeper
from guestwire.linux.libc import (
    CLONE_NEWNET,
    CLONE_NEWNS,
    CLONE_NEWPID,
    CLONE_NEWUSER,
    MS_BIND,
    MS_NODEV,
    MS_NOEXEC,
    MS_NOSUID,
    MS_RDONLY,
    MS_REC,
    MS_REMOUNT,
    MS_SLAVE,
    mount,
    setns,
    unshare,
)
from guestwire.linux.netlink import Socket
from guestwire.linux.rtnetlink import LO, set_link

__all__ = ["USER_NAMESPACE", "capable", "enter", "furnish", "leave", "make"]

USER_NAMESPACE = "user namespace"  # as the `filename` of an OSError: it can't be made at all
CAP_NET_ADMIN, CAP_SYS_ADMIN = 12, 21  # include/uapi/linux/capability.h


def capable() -> bool:
    """Whether this process may make namespaces and links (CAP_SYS_ADMIN, CAP_NET_ADMIN) and write to /run."""
    with open("/proc/self/status") as file:
        effective = next(int(line.split()[1], 16) for line in file if line.startswith("CapEff:"))
    return all(effective >> number & 1 for number in (CAP_NET_ADMIN, CAP_SYS_ADMIN)) and os.access("/run", os.W_OK)


def make(title: str, record: Callable[[int], None]) -> int:
    """Make such a world; the pid of its keeper, which shows as `title` in ps (15 characters) and outlives us.

    `record` is called with the pid before the keeper is let go: when that fails, or we are killed in the midst of it,
    the keeper ends by itself. Raises OSError with what could not be made as its `filename`; nothing remains then.
    """
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours:
        with theirs:
            mask = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
            try:
                first = os.fork()
                if first == 0:
                    _guarded(theirs, lambda: _begin(theirs, title))
            finally:
                signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        try:
            pid = _pid_when_ready(ours)
            record(pid)
            ours.send(b"go")
        finally:
            os.waitpid(first, 0)
    return pid


def enter(keeper: int) -> None:
    """Move this process, which has one thread, into the world of the keeper, of whom that is a pidfd.

    The PID namespace is for our children only. The working folder stays, where it is to be seen in there. Raises
    OSError, with this process where it was: it enters all of them or none (setns(2) with a pidfd, Linux 5.8).
    """
    try:
        folder = os.getcwd()
    except FileNotFoundError:
        folder = "/"
    setns(keeper, CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWPID)
    with contextlib.suppress(OSError):
        os.chdir(folder)


def leave(*, user: bool) -> None:
    """Move this process into namespaces of its own: mount and network, for its children a PID namespace too.

    With `user`, into a user namespace first, where it is root. Raises OSError with what could not be made as its
    `filename`; then this process may be half outside.
    """
    uid, gid = os.geteuid(), os.getegid()
    try:
        if user:
            unshare(CLONE_NEWUSER)
            for file, content in (("setgroups", "deny"), ("uid_map", f"0 {uid} 1"), ("gid_map", f"0 {gid} 1")):
                with open(f"/proc/self/{file}", "w") as stream:
                    stream.write(content)
    except OSError as error:
        raise OSError(error.errno, error.strerror, USER_NAMESPACE) from None
    try:
        unshare(CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWPID)
    except OSError as error:
        raise OSError(error.errno, error.strerror, "mount, network and PID namespaces") from None


def _pid_when_ready(sock: socket.socket) -> int:
    """The keeper's pid, once that one is ready; raises the OSError that came in its place.

    The one tells us the pid, the other that it's ready, and either may be first.
    """
    pid, ready = 0, False
    while not (pid and ready):
        word, _, rest = sock.recv(4096).decode(errors="replace").partition(" ")
        if word == "pid":
            pid = int(rest)
        elif word == "ready":
            ready = True
        elif word == "error":
            number, _, what = rest.partition(" ")
            raise OSError(int(number), os.strerror(int(number)), what)
        else:
            raise OSError(errno.ECHILD, "it ended at once", "its keeper")
    return pid


def _guarded(report: socket.socket, do: Callable[[], NoReturn]) -> NoReturn:
    """Do it in a forked process, where nothing may be raised: report an error, and end."""
    try:
        do()
    except OSError as error:
        with contextlib.suppress(OSError):
            report.send(f"error {error.errno or errno.EIO} {error.filename or ''}".encode())
    finally:
        os._exit(1)


def _begin(report: socket.socket, title: str) -> NoReturn:
    """The first process: makes the namespaces, and forks the keeper into them."""
    os.setsid()
    os.umask(0o022)
    os.chdir("/")
    leave(user=True)
    pid = os.fork()
    if pid == 0:
        _guarded(report, lambda: _become_keeper(report, title))
    report.send(f"pid {pid}".encode())
    os._exit(0)


def _become_keeper(report: socket.socket, title: str) -> NoReturn:
    """Process 1: furnishes the place and stays, holding nothing of the process that made it."""
    os.dup2(report.fileno(), 0)
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 1)
    os.dup2(null, 2)
    for fd in map(int, os.listdir("/proc/self/fd")):
        if fd > 2:
            with contextlib.suppress(OSError):  # the one that listed them
                os.close(fd)
    try:
        furnish()
    except OSError as error:
        os.write(0, f"error {error.errno or errno.EIO} {error.filename or ''}".encode())
        os._exit(1)
    # Where Python can't be started anew (its files are another user's, or in an archive), this process does the same.
    if all(file and os.access(file, os.R_OK) for file in (sys.executable, os.__file__, keeper.__file__)):
        kept = {name: os.environ[name] for name in ("LD_LIBRARY_PATH",) if name in os.environ}
        os.execve(sys.executable, [sys.executable, "-I", "-S", keeper.__file__, title], kept)
    keeper.keep(title)


def furnish(*, shielded: bool = False) -> None:
    """Mounts and lo, from inside, by process 1 of the PID namespace.

    Mounts are slaves: what is unmounted outside doesn't live on in here. With `shielded`, for who may write there,
    nothing that is written below /etc reaches the real one.
    """
    mount("", "/", None, MS_SLAVE | MS_REC)
    resolver = _read("/etc/resolv.conf")
    _mount_run()
    mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC)
    with contextlib.suppress(OSError):  # then /sys goes on showing the links outside
        mount("sysfs", "/sys", "sysfs", MS_NOSUID | MS_NODEV | MS_NOEXEC)
    _open_etc(shielded)
    _put_resolver(resolver)
    sock = Socket()
    for error in sock.transact([set_link(LO, up=True)]):
        raise error
    sock.close()


def _mount_run() -> None:
    """An empty /run, except for the user's own folder, with the desktop's sockets and perhaps the user's files."""
    own = os.path.normpath(os.environ.get("XDG_RUNTIME_DIR", ""))
    inner = None
    if own.startswith("/run/"):
        with contextlib.suppress(OSError):
            inner = os.open(own, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    mount("tmpfs", "/run", "tmpfs", MS_NOSUID | MS_NODEV, "mode=0755")
    if inner is not None:
        os.makedirs(own, mode=0o755, exist_ok=True)
        with contextlib.suppress(OSError):
            mount(f"/proc/self/fd/{inner}", own, None, MS_BIND | MS_REC)
        os.close(inner)


def _open_etc(shielded: bool) -> None:
    """An /etc in which /etc/netns/NAME/ can be made; all else there is as outside."""
    if os.path.isdir("/etc/netns") and not shielded:
        mount("tmpfs", "/etc/netns", "tmpfs", MS_NOSUID | MS_NODEV, "mode=0755")
        return
    for folder in ("/run/.etc", "/run/.etc/upper", "/run/.etc/upper/netns", "/run/.etc/work", "/run/.etc/lower"):
        os.mkdir(folder, 0o755)
    # In a user namespace since Linux 5.11, and not over mounts that we can't take away (as a container has in /etc).
    for options in ("userxattr,", ""):
        with contextlib.suppress(OSError):
            data = f"{options}lowerdir=/etc,upperdir=/run/.etc/upper,workdir=/run/.etc/work"
            mount("overlay", "/etc", "overlay", MS_NOSUID | MS_NODEV, data)
            return
    mount("/etc", "/run/.etc/lower", None, MS_BIND | MS_REC)
    if shielded:
        mount("", "/run/.etc/lower", None, MS_BIND | MS_REMOUNT | MS_RDONLY)
    names = [name for name in os.listdir("/etc") if name != "netns"]
    mount("tmpfs", "/etc", "tmpfs", MS_NOSUID | MS_NODEV, "mode=0755")
    for name in names:
        os.symlink(f"/run/.etc/lower/{name}", f"/etc/{name}")
    os.mkdir("/etc/netns", 0o755)


def _read(path: str) -> bytes | None:
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError:
        return None


def _put_resolver(content: bytes | None) -> None:
    """resolv.conf again, where it leads into the /run that's hidden now, or was a mount of its own, as in a container.

    A guest's own is bound over it.
    """
    path = os.path.realpath("/etc/resolv.conf")
    if content is None or _read(path) == content:
        return
    with contextlib.suppress(OSError):
        os.makedirs(os.path.dirname(path), mode=0o755, exist_ok=True)
        with open(path, "wb") as file:
            file.write(content)
