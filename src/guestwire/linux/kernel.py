"""One conversation with the kernel over many namespaces: sockets kept open, requests gathered, failures attributed.

Requests are queued with the token of whoever asked (`Kernel.token`) and sent in batches, in the order in which they
came: a batch ends where the namespace changes, where something must be known at once (a link's index), or at `flush`.
What the kernel refuses is kept in `failures` with its token.
"""

from __future__ import annotations

import contextlib
import errno
import os
import resource
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Any, TypeVar

from guestwire.linux import namespaces
from guestwire.linux.libc import CLONE_NEWNET, setns
from guestwire.linux.netlink import BATCH, Request, Socket, u32
from guestwire.linux.programs import running
from guestwire.linux.reading import Reading, Readings, read_namespace
from guestwire.linux.rtnetlink import IFLA_GROUP, delete_link, dump_links, link_index, set_link
from guestwire.linux.stock import Stock

__all__ = ["Kernel"]

LEAST = 8  # namespaces that are kept open however few descriptors there may be: one request names two or three
T = TypeVar("T")


class Kernel:
    """The kernel, as seen by one thread. A namespace is named as `ip netns` lists it; "" is the one we started in.

    New ones are taken from the `stock` while that lasts, and what was read `ahead` is used once. Not for use by several
    threads at once: it moves the calling thread between namespaces and back.
    """

    def __init__(self, stock: Stock | None = None, ahead: Readings | None = None) -> None:
        self.token: Any = None
        self.forced = False
        """Whether what resists being removed is to go all the same, as far as it can: in an undo."""
        self.failures: list[tuple[Any, OSError]] = []
        self._stock = stock
        self._ahead = ahead
        self._home = namespaces.current()
        self._fds: dict[str, int] = {"": self._home}
        self._sockets = {"": Socket()}  # at home, where we are; to enter it again would take rights
        self._led: set[str] = set()
        self._indexes: dict[tuple[str, str], int] = {}
        self._queue: list[Request] = []
        self._tokens: list[Any] = []
        self._forgiven: list[int] = []
        self._doomed: list[tuple[int, Any]] = []
        self._calls: list[tuple[Callable[[], object], Any]] = []
        self._last: dict[str, Callable[[str], None]] = {}
        self._where = ""
        self._prepared = False
        self._held: set[int] | None = None
        self._running: dict[str, list[int]] | None = None
        self._room = max(_raise_descriptor_limit() // 2 - 64, LEAST)

    def __enter__(self) -> Kernel:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close every socket and descriptor, and do what was left for the end; what is queued is dropped."""
        self.do_last()
        for sock in self._sockets.values():
            sock.close()
        for fd in self._fds.values():
            os.close(fd)
        self._sockets.clear()
        self._fds.clear()

    # Namespaces

    def fd(self, netns: str) -> int:
        """A descriptor of the namespace, kept open; raises FileNotFoundError where there is none of that name."""
        found = self._fds.get(netns)
        if found is None:
            self._make_room()
            found = self._fds[netns] = namespaces.open_namespace(netns)
        elif self._is_full:
            self._fds[netns] = self._fds.pop(netns)  # in the order in which they were asked for
        return found

    def lead(self, netns: str, file: str) -> None:
        """Have a name mean the namespace that a file holds, whatever lies under it in /run/netns.

        Raises OSError as `namespaces.open_file` does; the name means what it did then.
        """
        self.flush()
        fd = namespaces.open_file(file)
        self._drop(netns)
        self._led.add(netns)
        self._indexes = {place: index for place, index in self._indexes.items() if place[0] != netns}
        self._fds[netns] = fd

    def is_led(self, netns: str) -> bool:
        """Whether `lead` has said what the name means."""
        return netns in self._led

    def socket(self, netns: str) -> Socket:
        """An rtnetlink socket of the namespace, kept open."""
        found = self._sockets.get(netns)
        if found is not None and self._is_full:
            self.fd(netns)
        if found is None:
            setns(self.fd(netns), CLONE_NEWNET)
            try:
                found = self._sockets[netns] = Socket()
            finally:
                setns(self._home, CLONE_NEWNET)
        return found

    def reading(self, netns: str) -> Reading:
        """A namespace's links, addresses and routes; raises OSError, FileNotFoundError where there is none of the name.

        As they are now, or as they were read ahead, which is used but once and never of one that is led to.
        """
        self.fd(netns)  # it is there
        found = self._ahead.take(netns) if self._ahead and netns not in self._led else None
        return found or read_namespace(self.socket(netns))

    @contextlib.contextmanager
    def inside(self, netns: str) -> Iterator[None]:
        """Run a block with this thread in the namespace, then come back. Where it is at home it needs no right to."""
        if not netns:
            yield
            return
        with namespaces.entered(self.fd(netns), self._home):
            yield

    def call(self, netns: str, function: Callable[[], T]) -> T:
        """What `function` returns when this thread is in the namespace; queued requests are done before it."""
        self.flush()
        with self.inside(netns):
            return function()

    def at_last(self, word: str, function: Callable[[str], None]) -> None:
        """Have a function called with a word when the conversation is closed; once, however often it is asked for."""
        self._last[word] = function

    def do_last(self) -> None:
        """Do what was left for the end now."""
        for word, function in self._last.items():
            function(word)
        self._last.clear()

    def create_namespace(self, name: str) -> None:
        """Make a named namespace; raises FileExistsError where the name is taken."""
        if not self._prepared:
            namespaces.prepare()
            self._prepared = True
        self._make_room()
        found = self._stock.take() if self._stock else None
        if found is not None:
            self._name(name, *found)
        else:
            namespaces.create(name, self._home)
            try:
                self._fds[name] = namespaces.current()
                self._sockets[name] = Socket()
            finally:
                setns(self._home, CLONE_NEWNET)

    def _name(self, name: str, fd: int, sock: Socket) -> None:
        try:
            namespaces.name_it(name, fd)
        except BaseException:
            sock.close()
            os.close(fd)
            raise
        self._fds[name], self._sockets[name] = fd, sock

    def is_held(self, netns: str) -> bool:
        """Whether a process is in the namespace, as far as /proc shows it; looked at once, when first asked."""
        if self._held is None:
            self._held = namespaces.with_processes()
        return namespaces.identity(self.fd(netns)) in self._held

    def running(self, netns: str, path: str) -> list[int]:
        """The processes in the namespace that have a path in their command lines; /proc is looked through once."""
        if self._running is None:
            self._running = running()
        return [pid for pid in self._running.get(path, ()) if self.is_in(pid, netns)]

    def is_in(self, pid: int, netns: str) -> bool:
        """Whether a process is in the namespace; no, where it has ended, isn't ours to look at, or there is none."""
        try:
            return os.stat(f"/proc/{pid}/ns/net").st_ino == namespaces.identity(self.fd(netns))
        except OSError:
            return False

    def delete_namespace(self, name: str) -> None:
        """Take the name from a namespace and let go of it; the kernel ends it in its own time."""
        self.flush()
        self._drop(name)
        namespaces.delete(name)

    def _drop(self, netns: str) -> None:
        if netns in self._sockets:
            self._sockets.pop(netns).close()
        if netns in self._fds:
            os.close(self._fds.pop(netns))

    @property
    def _is_full(self) -> bool:
        """Whether no more namespaces may be kept open. One costs two descriptors, and the limit may be low."""
        return len(self._fds) >= self._room

    def _make_room(self) -> None:
        """Let go of the namespace that wasn't asked for the longest; it is opened again when it is."""
        if self._is_full:
            self.flush()  # what is queued names some by number
            free = (name for name in self._fds if name not in {"", self._where, *self._led})
            self._drop(next(free, ""))

    # Links by name

    def learn(self, netns: str, links: dict[str, int]) -> None:
        """Take note of links' indexes that somebody has read."""
        for name, index in links.items():
            self._indexes[netns, name] = index

    def forget(self, netns: str, name: str) -> None:
        """Forget the index of a link, since another is to come under its name."""
        self._indexes.pop((netns, name), None)

    def index(self, netns: str, name: str) -> int:
        """The index of a link; raises NetlinkError (ENODEV) where there is none of that name.

        Asking also has the kernel say at once what it would within a second: whether a new macvlan has a carrier
        (linkwatch_sync_dev in net/core/link_watch.c). An index of our own choosing was faster, and lacked that.
        """
        found = self._indexes.get((netns, name))
        if found is None:
            self.flush()
            found = self._indexes[netns, name] = link_index(self.socket(netns), name)
        return found

    def identity(self, netns: str, name: str) -> tuple[int, ...]:
        """What tells a link from another of its name, before or after it; empty where there is none."""
        try:
            return (namespaces.identity(self.fd(netns)), self.index(netns, name))
        except OSError:
            return ()

    # Requests

    def send(self, netns: str, request: Request, forgiven: int = 0) -> None:
        """Queue a request for the namespace; `forgiven` is an error number by which it counts as done.

        That is for what comes and goes by itself: it may be there already, or be gone, by the time.
        """
        if netns != self._where or self._doomed or self._calls:
            self.flush()
            self._where = netns
            self.socket(netns)  # now, since room may have to be made for it
        self._queue.append(request)
        self._tokens.append(self.token)
        self._forgiven.append(forgiven)

    def later(self, netns: str, function: Callable[[], object]) -> None:
        """Queue a call for when this thread is in the namespace, which is entered once for those queued in a row.

        An OSError that it raises goes to `failures`, and the others are made all the same.
        """
        if netns != self._where or self._queue or self._doomed or len(self._calls) == BATCH:
            self.flush()
            self._where = netns
        self._calls.append((function, self.token))

    def doom(self, netns: str, name: str) -> None:
        """Queue the deletion of a link; one that has gone by itself, with a namespace that ended, counts as deleted.

        Those queued in a row go as one group, since the kernel waits once a request.
        """
        try:
            index = self.index(netns, name)
        except OSError as error:
            if error.errno != errno.ENODEV:
                raise
            return
        if netns != self._where or self._queue or self._calls:
            self.flush()
            self._where = netns
        self._doomed.append((index, self.token))
        self._indexes.pop((netns, name), None)

    def flush(self) -> None:
        """Send what is queued and wait until the kernel is through with it; refusals go to `failures`."""
        if self._queue:
            queue, tokens, forgiven = self._queue, self._tokens, self._forgiven
            self._queue, self._tokens, self._forgiven = [], [], []
            failed = self.socket(self._where).transact(queue)
            self.failures += [(tokens[e.index], e) for e in failed if e.errno != forgiven[e.index]]
        if self._calls:
            calls, self._calls = self._calls, []
            with self.inside(self._where):
                for function, token in calls:
                    try:
                        function()
                    except OSError as error:
                        self.failures.append((token, error))
        if self._doomed:
            doomed, self._doomed = self._doomed, []
            self._delete(self.socket(self._where), doomed)
            self.failures = [(token, error) for token, error in self.failures if not _has_gone(doomed, token, error)]

    def _delete(self, sock: Socket, doomed: list[tuple[int, Any]]) -> None:
        if len(doomed) > 1:
            used = {link.group for link in dump_links(sock)}
            group = next(number for number in iter(_random_group, 0) if number not in used)
            requests = [set_link(index, u32(IFLA_GROUP, group)) for index, _ in doomed]
            lost = {error.index: error for error in sock.transact(requests)}
            self.failures += [(doomed[place][1], error) for place, error in lost.items()]
            if len(lost) < len(doomed):
                self.failures += [
                    (token, error)
                    for error in sock.transact([delete_link(0, u32(IFLA_GROUP, group))])
                    for place, (_, token) in enumerate(doomed)
                    if place not in lost
                ]
        else:
            self.failures += [(doomed[0][1], error) for error in sock.transact([delete_link(doomed[0][0])])]

    def refused(self) -> list[tuple[Any, OSError]]:
        """The failures since the last call, after sending what is queued."""
        self.flush()
        failures, self.failures = self.failures, []
        return failures


def _has_gone(doomed: list[tuple[int, Any]], token: Any, error: OSError) -> bool:
    return error.errno == errno.ENODEV and any(token is each for _, each in doomed)


def _random_group() -> int:
    """A number that a person would hardly give to a group of links."""
    return int.from_bytes(os.urandom(4)) >> 1 | 1 << 16


def _raise_descriptor_limit() -> int:
    """Take the whole limit of open files that we are allowed: a thousand namespaces need two thousand descriptors."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return 1 << 20 if hard == resource.RLIM_INFINITY else hard
