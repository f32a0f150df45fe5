"""Run a command in a network namespace as `ip netns exec` does: with the namespace's own /sys and files in /etc.

The command gets a mount namespace of its own, whose mounts nobody else sees. There /sys is mounted anew, since a sysfs
shows the links of the namespace it was mounted in, and each file under /etc/netns/NAME/ is bound over its namesake in
/etc, so that resolv.conf is the guest's (ip-netns(8)).
"""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import struct
from collections.abc import Callable, Iterable, Sequence
from fcntl import F_DUPFD_CLOEXEC, fcntl
from typing import NoReturn

from guestwire.linux.child import attend, hold, release
from guestwire.linux.libc import (
    CLONE_NEWNET,
    CLONE_NEWNS,
    MNT_DETACH,
    MS_BIND,
    MS_RDONLY,
    MS_REC,
    MS_SLAVE,
    mount,
    setns,
    umount,
    unshare,
)
from guestwire.linux.openfiles import restore_limit
from guestwire.linux.programs import with_sbin

__all__ = ["NOT_EXECUTABLE", "NOT_FOUND", "STDERR", "STDOUT", "go_in", "out_of_the_way", "run", "run_prepared"]

STDOUT, STDERR = 1, 2
NOT_EXECUTABLE, NOT_FOUND = 126, 127  # as shells have it (POSIX, 2.8.2)
HIGH = 400  # from where on descriptors of ours are out of the way of those that a command gets by number
ETC, OF_NAMESPACES = "/etc", "/etc/netns"


def run(fd: int, name: str, command: Sequence[str], *, silent: bool = False) -> int:
    """Run a command in the network namespace of `fd`, called `name`; its code, or 128 and the signal that ended it.

    With `silent` what it writes to standard output goes to standard error.
    Signals sent to this process are passed on to it. Where the command can't be started, that is said on standard error
    and the code is 127 (no such command) or 126. Raises OSError where the namespace can't be entered; nothing ran then.
    """

    def prepare() -> None:
        go_in(fd, name)
        if silent:
            os.dup2(STDERR, STDOUT)

    return run_prepared(command, prepare)


def go_in(fd: int, name: str) -> None:
    """Move this process, which is about to become another program, into a network namespace, as `ip netns exec` does.

    Raises OSError, which names what failed.
    """
    try:
        setns(fd, CLONE_NEWNET)
        _arrange(name)
    except OSError as error:
        raise OSError(error.errno, error.strerror, error.filename or name) from error


def run_prepared(
    command: Sequence[str], prepare: Callable[[], None], begun: Callable[[int], None] | None = None
) -> int:
    """The same, of a command whose process has done `prepare` first; what is raised there, OSError, is raised here.

    `begun` is called here with the process's number before it does anything.
    """
    ours, theirs = os.pipe()
    going, go = os.pipe()
    before = hold()
    try:
        pid = os.fork()
        if pid == 0:
            os.close(go)
            if not os.read(going, 1):
                os._exit(NOT_EXECUTABLE)  # who was to let it go has been killed
            _become(command, prepare, before, theirs)
        os.close(theirs)
        theirs = -1
        try:
            if begun is not None:
                begun(pid)
        finally:
            os.write(go, b"!")
        code = attend(pid)
        refused = os.read(ours, 4096)  # empty: the pipe ended when the command began
    finally:
        release(before)
        for end in (ours, going, go):
            os.close(end)
        if theirs >= 0:
            os.close(theirs)
    if refused:
        number = struct.unpack_from("=i", refused)[0]
        raise OSError(number, os.strerror(number), refused[4:].decode(errors="replace"))
    return code


def out_of_the_way(fd: int) -> int:
    """A copy of a descriptor that ends as a program begins, beyond those that it gets by number; raises OSError."""
    most, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return fcntl(fd, F_DUPFD_CLOEXEC, min(HIGH, most // 2))


def _become(command: Sequence[str], prepare: Callable[[], None], mask: Iterable[int], report: int) -> NoReturn:
    code = NOT_EXECUTABLE
    try:
        report = out_of_the_way(report)
        try:
            prepare()
        except OSError as error:
            os.write(report, struct.pack("=i", error.errno or 0) + str(error.filename or command[0]).encode())
            os._exit(code)
        # Python ignores these; the command shall find them as we did.
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
        signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
        restore_limit()
        release(mask)
        os.execvpe(command[0], list(command), with_sbin())
    except OSError as error:
        if not _is_there(command[0]):
            code = NOT_FOUND
            _say(f"{command[0]}: command not found")
        elif isinstance(error, FileNotFoundError):  # a script, and what its first line names is missing
            code = NOT_FOUND
            _say(f"{command[0]}: its interpreter not found")
        else:
            _say(f"{command[0]}: can't be run: {error.strerror}")
    except BaseException as error:
        _say(f"{command[0]}: can't be run: {error}")
    finally:
        os._exit(code)


def _is_there(command: str) -> bool:
    """Whether there is such a file, though it can't be run; a folder in PATH that is closed to us doesn't count."""
    if "/" in command:
        return os.path.exists(command)
    return any(os.path.exists(os.path.join(folder, command)) for folder in os.get_exec_path(with_sbin()))


def _arrange(name: str) -> None:
    """Give the calling process a mount namespace of its own with the network namespace's /sys and /etc."""
    unshare(CLONE_NEWNS)
    # Slave, not private: what is unmounted outside shall not live on in here.
    mount("", "/", None, MS_SLAVE | MS_REC)
    flags = MS_RDONLY if os.statvfs("/sys").f_flag & os.ST_RDONLY else 0
    with contextlib.suppress(OSError):  # in a user namespace it can be covered, but not always taken away
        umount("/sys", MNT_DETACH)
    with contextlib.suppress(PermissionError):  # a container that masks parts of it forbids another: it stays as it was
        mount(name, "/sys", "sysfs", flags)
    folder = f"{OF_NAMESPACES}/{name}"
    try:
        files = sorted(os.listdir(folder))
    except (FileNotFoundError, NotADirectoryError):
        return
    for file in files:
        try:
            mount(f"{folder}/{file}", f"{ETC}/{file}", None, MS_BIND)
        except OSError as error:
            _say(f"{folder}/{file} can't stand for {ETC}/{file}: {error.strerror}")


def _say(text: str) -> None:
    os.write(2, f"{text}\n".encode(errors="backslashreplace"))
