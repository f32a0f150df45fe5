"""Labs of an ordinary user: each lives in a world of its own (linux/userns.py), found, made and entered here.

A small process keeps each lab. Its pid and start time lie in PROJECT.json in the user's runtime folder. A command that
works inside holds that file with a shared lock, and the last one out ends a lab in which nothing is up any more.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import signal
import sys
from dataclasses import asdict, dataclass
from typing import NoReturn

from guestwire.errors import GuestwireError, NotPermitted, Unavailable
from guestwire.linux import userns
from guestwire.linux.child import attend, dies_with_its_parent, hold, release
from guestwire.linux.processes import started
from guestwire.linux.programs import has_ended

__all__ = ["Holder", "end", "enter", "find", "holders", "nsenter_line", "refusal"]

STATE = "run/guestwire"  # in the lab's own files: where whatever is up, or unsettled, leaves a folder (apply/store.py)
SUFFIX = ".json"
PATIENCE = 3  # seconds that a keeper gets to end when asked, before it's killed; and once more to be gone then
TITLE = "guestwire-lab"


@dataclass(frozen=True)
class Holder:
    """The process that keeps a project's lab."""

    project: str
    pid: int
    start: int


def enter(project: str, *, make: bool) -> None:
    """Go on with the rights of root: at once where we have them, else inside the user's lab of that project.

    Where there is no such lab yet, it's made if `make` says so (--lab); otherwise NotPermitted. Then this process stays
    behind: it waits for a child, passes signals on to it and ends with its exit code. Only the child returns from here.
    Raises GuestwireError, with nothing left behind.
    """
    if userns.capable():
        return
    if len(os.listdir("/proc/self/task")) > 1:
        raise Unavailable(
            "a process with several threads can't enter a lab of an ordinary user.",
            hint="Do it in a process of its own, or as root.",
        )
    with _Record(project) as record:
        try:
            record.take(make=make)
            for stream in (sys.stdout, sys.stderr):
                if stream is not None:
                    stream.flush()  # or both processes would write what's left in it
            record.follow()
        except BaseException:
            record.leave()
            raise
        mask = hold()
        try:
            pid = os.fork()
        except OSError:
            release(mask)
            record.leave()
            raise
        if pid:
            _stay_behind(pid, record)
        dies_with_its_parent()
        if os.getppid() != 0:  # the parent is outside this PID namespace, unless it has gone already
            os._exit(128 + signal.SIGKILL)
        release(mask)


def _stay_behind(pid: int, record: _Record) -> NoReturn:
    code = GuestwireError.code
    try:
        code = attend(pid)
        record.leave()
    finally:
        os._exit(code)


def find(project: str) -> Holder | None:
    """The keeper of this user's lab of that project, or None; a record that is out of date is removed."""
    with _Record(project) as record:
        return record.find()


def holders() -> list[Holder]:
    """The keepers of all this user's labs, by project."""
    folder = _folder()
    if folder is None:
        return []
    try:
        names = sorted(name.removesuffix(SUFFIX) for name in os.listdir(folder) if name.endswith(SUFFIX))
    finally:
        os.close(folder)
    return [holder for holder in map(find, names) if holder is not None]


def end(holder: Holder) -> None:
    """End a lab: its keeper, with it everything inside, and its record."""
    handle = _handle(holder)
    if handle is not None:
        try:
            _kill(handle)
        finally:
            os.close(handle)
    find(holder.project)  # takes the record away


def nsenter_line(holder: Holder) -> str:
    """The command with which a shell gets into the lab."""
    return f"nsenter --preserve-credentials -U -m -n -p -t {holder.pid}"


class _Record:
    """The file of one project: who keeps its lab. Open and locked from `take` to the end of the `with` block."""

    def __init__(self, project: str) -> None:
        if "/" in project or project.startswith("."):
            raise NotPermitted(f"{project!r} is no name of a project.")
        self._project = project
        self._name = project + SUFFIX
        self._folder: int | None = None
        self._fd: int | None = None
        self._handle: int | None = None  # of the keeper's process, from `take` on
        self._root: int | None = None  # the root of the lab's files

    def __enter__(self) -> _Record:
        return self

    def __exit__(self, *_: object) -> None:
        self._close()
        for fd in (self._handle, self._root):
            if fd is not None:
                os.close(fd)

    def _close(self) -> None:
        for fd in (self._fd, self._folder):
            if fd is not None:
                os.close(fd)
        self._fd = self._folder = None

    def _open(self, *, make: bool) -> bool:
        """Open the file, with its folder; False where it isn't there."""
        self._close()
        self._folder = _folder(make=make)
        if self._folder is None:
            return False
        flags = os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC | (os.O_CREAT if make else 0)
        try:
            self._fd = os.open(self._name, flags, 0o600, dir_fd=self._folder)
        except FileNotFoundError:  # with O_CREAT: the folder was removed meanwhile
            return False
        return True

    def _lock(self, how: int) -> bool:
        """Lock the file; False where it isn't the project's any more, since whoever had it locked has removed it."""
        assert self._fd is not None
        fcntl.flock(self._fd, how)
        try:
            return os.path.samestat(os.fstat(self._fd), os.stat(self._name, dir_fd=self._folder))
        except FileNotFoundError:
            return False

    def _read(self) -> Holder | None:
        """The keeper that it tells of, if that one lives."""
        assert self._fd is not None
        try:
            data = json.loads(os.pread(self._fd, 4096, 0))
            holder = Holder(self._project, int(data["pid"]), int(data["start"]))
        except (ValueError, TypeError, KeyError):
            return None
        return holder if started(holder.pid) == holder.start else None

    def find(self) -> Holder | None:
        """As the function `find`."""
        if not self._open(make=False):
            return None
        holder = self._read()
        if holder is None:
            with contextlib.suppress(BlockingIOError):  # locked: somebody is about to write it
                if self._lock(fcntl.LOCK_EX | fcntl.LOCK_NB) and self._read() is None:
                    self._remove()
        return holder

    def take(self, *, make: bool) -> None:
        """Find the living keeper, or make it; nobody ends it for want of use while this process has the record.

        Raises NotPermitted where there is none and `make` is false, or it can't be made.
        """
        while self._handle is None:
            if not make and self.find() is None:
                raise NotPermitted(
                    f"this needs root (or CAP_NET_ADMIN and CAP_SYS_ADMIN), and you have no lab of {self._project}.",
                    hint="Run it as root, or try it in a lab: `guestwire up --lab`.",
                )
            if not self._open(make=make) or not self._lock(fcntl.LOCK_SH):
                continue
            holder = self._read()
            if holder is not None:
                self._hold(holder)
            # Under the exclusive lock only one makes it.
            elif make and self._lock(fcntl.LOCK_EX) and self._read() is None:
                self._make()
                self._lock(fcntl.LOCK_SH)

    def _make(self) -> None:
        try:
            userns.make(TITLE, self._write)
        except BaseException as error:
            self._remove()
            if self._handle is not None:
                _kill(self._handle)
            if isinstance(error, OSError):
                raise refusal(error, "without root a lab needs a user namespace") from error
            raise

    def _write(self, pid: int) -> None:
        assert self._fd is not None
        holder = Holder(self._project, pid, started(pid) or 0)
        self._hold(holder)
        os.ftruncate(self._fd, 0)
        os.pwrite(self._fd, json.dumps(asdict(holder)).encode(), 0)

    def _hold(self, holder: Holder) -> None:
        """Open what it takes to end the lab, from wherever this process is by then."""
        handle = _handle(holder)
        if handle is None:
            return
        try:
            self._root = os.open(f"/proc/{holder.pid}/root", os.O_PATH | os.O_CLOEXEC)
        except OSError as error:
            os.close(handle)
            if started(holder.pid) == holder.start:
                raise refusal(error, f"the lab of {self._project} can't be entered") from error
            return
        self._handle = handle

    def follow(self) -> None:
        """Move this process into the lab that was taken. Raises NotPermitted."""
        assert self._handle is not None
        try:
            userns.enter(self._handle)
        except OSError as error:
            raise refusal(error, f"the lab of {self._project} can't be entered") from error

    def leave(self) -> None:
        """End the lab when nothing is up in it, unless another command is in it; whoever is last does so."""
        if self._handle is None or self._in_use():
            return
        with contextlib.suppress(BlockingIOError):
            # Looked at again under the lock: another command may have come and gone.
            if self._lock(fcntl.LOCK_EX | fcntl.LOCK_NB) and not self._in_use():
                _kill(self._handle)
                self._remove()

    def _in_use(self) -> bool:
        """Whether anything is up or unsettled in the lab."""
        try:
            folder = os.open(STATE, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=self._root)
        except FileNotFoundError:
            return False
        try:
            with os.scandir(folder) as entries:
                return any(entry.is_dir() for entry in entries)
        finally:
            os.close(folder)

    def _remove(self) -> None:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self._name, dir_fd=self._folder)


def _handle(holder: Holder) -> int | None:
    """A descriptor of the keeper's process, which no other can come to stand behind; None where it has ended."""
    try:
        handle = os.pidfd_open(holder.pid)
    except ProcessLookupError:
        return None
    if started(holder.pid) != holder.start:
        os.close(handle)
        return None
    return handle


def _kill(handle: int) -> None:
    """End a keeper, and wait until it's gone; the kernel has then ended all that ran in its PID namespace."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(handle, number)
        if has_ended(handle, PATIENCE):
            return


def _folder(*, make: bool = False) -> int | None:
    """The folder of the records, opened; None where it isn't there and `make` doesn't ask for it.

    Raises NotPermitted where it could be another user's doing: in /tmp anybody can make a folder of that name.
    """
    runtime, uid = os.environ.get("XDG_RUNTIME_DIR", ""), os.geteuid()
    path = f"/tmp/guestwire-{uid}"
    if os.path.isabs(runtime) and os.path.isdir(runtime) and os.stat(runtime).st_uid == uid:
        path = os.path.join(runtime, "guestwire")
    if make:
        with contextlib.suppress(FileExistsError):
            os.mkdir(path, 0o700)
    try:
        folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise NotPermitted(
            f"{path} can't be used: {error.strerror}.", hint="Remove it, or set XDG_RUNTIME_DIR."
        ) from error
    seen = os.fstat(folder)
    if seen.st_uid != uid or seen.st_mode & 0o077:
        os.close(folder)
        raise NotPermitted(
            f"{path} isn't yours alone (user {seen.st_uid}, mode {seen.st_mode & 0o777:o}).",
            hint="Remove it, or set XDG_RUNTIME_DIR.",
        )
    return folder


# Why a user namespace is refused: a setting, the value that forbids, and what that means.
SETTINGS = (
    ("user.max_user_namespaces", "0", "15000", "this machine allows none"),
    ("kernel.unprivileged_userns_clone", "0", "1", "this machine allows them to root only"),
    ("kernel.apparmor_restrict_unprivileged_userns", "1", "0", "AppArmor withholds rights in them"),
)
AS_ROOT = "Or run guestwire as root."


def refusal(error: OSError, what: str) -> NotPermitted:
    """The error that tells why a user can't have namespaces of its own, and what to do about it; `what` needs them."""
    forbidden = error.errno in (errno.EPERM, errno.EACCES, errno.ENOSPC, errno.EUSERS)
    for setting, forbids, allows, why in SETTINGS if forbidden else ():
        try:
            with open(f"/proc/sys/{setting.replace('.', '/')}") as file:
                value = file.read().strip()
        except OSError:
            continue
        if value == forbids:
            hint = f"`sudo sysctl -w {setting}={allows}` allows it. {AS_ROOT}"
            return NotPermitted(f"{what}, and {why} ({setting} is {value}).", hint=hint)
    place = f"{error.filename}: " if error.filename else ""
    said = f"{what}, and the kernel refused ({place}{error.strerror})."
    if error.errno == errno.ENOSPC:
        return NotPermitted(said, hint=f"A limit is met: see `sysctl user` (user.max_*_namespaces). {AS_ROOT}")
    if error.filename == "/proc":
        return NotPermitted(said, hint=f"A container that masks /proc forbids a new one. {AS_ROOT}")
    if error.filename == userns.USER_NAMESPACE and error.errno in (errno.EINVAL, errno.ENOSYS):
        return NotPermitted(said, hint=f"It is built without user namespaces (CONFIG_USER_NS). {AS_ROOT}")
    if error.filename == userns.USER_NAMESPACE:
        return NotPermitted(said, hint=f"A container's seccomp filter or a chroot forbids them, most likely. {AS_ROOT}")
    return NotPermitted(said, hint=AS_ROOT)
