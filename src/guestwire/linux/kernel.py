"""One conversation with the kernel over many namespaces: sockets kept open, requests gathered, failures attributed.

Requests are queued with the token of whoever asked (`Kernel.token`) and sent in batches, in the order in which they
came: a batch ends where the namespace changes, where something must be known at once (a link's index), or at `flush`.
What the kernel refuses is kept in `failures` with its token.

A link's name is a name only: another may have it by the time that a request arrives. So links that were read are
changed by their numbers, which the kernel doesn't give twice. One that is only just made has none that we know, and is
changed by its name, but once the kernel has made it: where the name was taken, what has it is a stranger's.
"""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Any, TypeVar

from guestwire.linux import namespaces
from guestwire.linux.libc import CLONE_NEWNET, setns
from guestwire.linux.netlink import BATCH, NetlinkError, Request, Socket, text, u32
from guestwire.linux.openfiles import raise_limit
from guestwire.linux.programs import running
from guestwire.linux.reading import Reading, Readings, read_namespace
from guestwire.linux.rtnetlink import IFLA_GROUP, IFLA_IFNAME, delete_link, dump_links, link_index, set_link
from guestwire.linux.stock import Stock

__all__ = ["Kernel"]

LEAST = 8  # namespaces that are kept open, however low the limit of open files is: one request names two or three
T = TypeVar("T")
Place = tuple[str, str]
"""A link's namespace, and its name there."""


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
        self._indexes: dict[Place, int] = {}
        self._made: dict[Place, bool] = {}  # links that we have asked for; False of one that we didn't get
        self._making: list[tuple[Request, Any, tuple[Place, ...]]] = []
        # Each with its token, the errno that is forgiven, and of what link it is.
        self._queue: list[tuple[Request, Any, int, Place | None]] = []
        self._doomed: list[tuple[int, Any]] = []
        self._calls: list[tuple[Callable[[], object], Any, Place]] = []
        self._last: dict[str, Callable[[str], None]] = {}
        self._where = ""
        self._prepared = False
        self._held: set[int] | None = None
        self._running: dict[str, list[int]] | None = None
        self._room = max(LEAST, raise_limit() // 2 - 64)

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
        elif len(self._fds) >= self._room:
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
        if found is None:
            setns(self.fd(netns), CLONE_NEWNET)
            try:
                found = self._sockets[netns] = Socket()
            finally:
                setns(self._home, CLONE_NEWNET)
        elif len(self._fds) >= self._room:
            self.fd(netns)  # it's asked for
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
        """Take the name from a namespace and let go of it; the kernel ends it in its own time.

        Where the name is another's by now, since somebody has done so, it stays.
        """
        self.flush()
        if namespaces.is_called(self.fd(name), name):
            namespaces.delete(name)
        self._drop(name)

    def _drop(self, netns: str) -> None:
        if netns in self._sockets:
            self._sockets.pop(netns).close()
        if netns in self._fds:
            os.close(self._fds.pop(netns))

    def _make_room(self) -> None:
        """Let go of the namespace that wasn't asked for the longest; it is opened again when it is.

        An open one costs two descriptors, and the limit may be low.
        """
        if len(self._fds) >= self._room:
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
        """The index of a link; raises NetlinkError (ENODEV) where there is none of that name, or we failed to make it.

        Asking also has the kernel say at once what it would within a second: whether a new macvlan has a carrier
        (linkwatch_sync_dev in net/core/link_watch.c, Linux 6.8). An index of our own choosing was faster, and
        lacked that.
        """
        found = self._indexes.get((netns, name))
        if found is None:
            self.flush()
            if self._made.get((netns, name)) is False:
                raise NetlinkError(errno.ENODEV, None)
            found = self._indexes[netns, name] = link_index(self.socket(netns), name)
        return found

    def identity(self, netns: str, name: str) -> tuple[int, ...]:
        """What tells a link from another of its name, before or after it; empty where there is none."""
        try:
            return (namespaces.identity(self.fd(netns)), self.index(netns, name))
        except OSError:
            return ()

    # Requests

    def _turn(self, netns: str) -> None:
        """Be through with what is queued, since something else comes, for the namespace."""
        self.flush()
        self._where = netns
        self.socket(netns)  # now, since room may have to be made for it

    def send(self, netns: str, request: Request, forgiven: int = 0) -> None:
        """Queue a request for the namespace; `forgiven` is an error number by which it counts as done.

        That is for what comes and goes by itself: it may be there already, or be gone, by the time.
        """
        if netns != self._where or self._making or self._doomed or self._calls:
            self._turn(netns)
        self._queue.append((request, self.token, forgiven, None))

    def make(self, netns: str, request: Request, *places: Place) -> None:
        """Queue a request that makes links, whose places those are, for the namespace.

        Those queued in a row are made before what `adjust` queues for them.
        """
        if netns != self._where or self._doomed or self._calls or (self._queue and not self._making):
            self._turn(netns)
        self._making.append((request, self.token, places))
        self._made.update(dict.fromkeys(places, True))

    def adjust(
        self, netns: str, name: str, *parts: bytes, up: bool | None = None, all_multicast: bool | None = None
    ) -> None:
        """Queue a change of a link; none of one that we failed to make."""
        place = (netns, name)
        index = self._indexes.get(place, 0)
        if not index and place not in self._made:
            index = self.index(netns, name)
        if netns != self._where or self._doomed or self._calls or (self._making and place not in self._made):
            self._turn(netns)
        if index or self._made[place]:
            called = () if index else (text(IFLA_IFNAME, name),)
            request = set_link(index, *called, *parts, up=up, all_multicast=all_multicast)
            self._queue.append((request, self.token, 0, place))

    def later(self, netns: str, function: Callable[[], object], makes: str) -> None:
        """Queue a call that makes a link of that name for when this thread is in the namespace.

        It is entered once for those queued in a row. An OSError that one raises goes to `failures`, and the others are
        made all the same.
        """
        if netns != self._where or self._making or self._queue or self._doomed or len(self._calls) == BATCH:
            self._turn(netns)
        self._calls.append((function, self.token, (netns, makes)))
        self._made[netns, makes] = True

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
        if netns != self._where or self._making or self._queue or self._calls:
            self._turn(netns)
        self._doomed.append((index, self.token))
        self._indexes.pop((netns, name), None)

    def flush(self) -> None:
        """Send what is queued and wait until the kernel is through with it; refusals go to `failures`."""
        if self._making:
            self._make()
        if self._queue:
            queue, self._queue = self._queue, []
            failed = self.socket(self._where).transact([request for request, *_ in queue])
            self.failures += [(queue[e.index][1], e) for e in failed if e.errno != queue[e.index][2]]
        if self._calls:
            calls, self._calls = self._calls, []
            with self.inside(self._where):
                for function, token, place in calls:
                    try:
                        function()
                    except OSError as error:
                        self._unmade(token, error, place)
        if self._doomed:
            doomed, self._doomed = self._doomed, []
            self._delete(self.socket(self._where), doomed)
            ours = {id(token) for _, token in doomed}
            self.failures = [(t, e) for t, e in self.failures if e.errno != errno.ENODEV or id(t) not in ours]

    def _make(self) -> None:
        """Make the links that are asked for; what is queued behind that for one that we didn't get is dropped."""
        making, self._making = self._making, []
        for error in self.socket(self._where).transact([request for request, *_ in making]):
            _, token, places = making[error.index]
            self._unmade(token, error, *places)
            self._queue = [each for each in self._queue if each[3] not in places]

    def _unmade(self, token: Any, error: OSError, *places: Place) -> None:
        self.failures.append((token, error))
        self._made.update(dict.fromkeys(places, False))

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


def _random_group() -> int:
    """A number that a person would hardly give to a group of links."""
    return int.from_bytes(os.urandom(4)) >> 1 | 1 << 16
