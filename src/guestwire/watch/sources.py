"""All that a watch waits for: what the kernel tells, processes that end, files of guestwire's, a signal to stop."""

from __future__ import annotations

import contextlib
import os
import select
from collections.abc import Iterable

from guestwire.apply import Store
from guestwire.kinds import Thing
from guestwire.kinds.attachment import Attachment
from guestwire.linux import namespaces
from guestwire.linux.inotify import ARRIVED, LEFT, Watch
from guestwire.linux.monitor import Monitor
from guestwire.places import RUN
from guestwire.watch.stale import Stale
from guestwire.watch.web import Web

__all__ = ["Sources"]


class Sources:
    """Waits by one epoll. `stop` is a descriptor that is readable once it is over; `stopped` says so then."""

    def __init__(self, store: Store, stop: int) -> None:
        self.stopped = False
        self._store = store
        self._stop = stop
        self._monitor = Monitor()
        self._poll = select.epoll()
        self._ready: set[int] = set()
        self._processes: dict[int, int] = {}  # pid → its descriptor
        self._users: set[int] = set()
        self._folders = Watch([], ARRIVED | LEFT)
        for fd in (*self._monitor.filenos(), self._folders.fileno(), stop):
            self._poll.register(fd, select.EPOLLIN)

    def close(self) -> None:
        """Hear no more."""
        self._monitor.close()
        self._poll.close()
        os.close(self._folders.fileno())
        for handle in self._processes.values():
            os.close(handle)

    def wait(self, seconds: float) -> None:
        """Wait until something has happened, at most so many seconds."""
        self._ready |= {fd for fd, _ in self._poll.poll(seconds)}
        self.stopped = self._stop in self._ready

    def quick(self, seconds: float) -> bool:
        """Whether something more happens within so many seconds."""
        self.wait(seconds)
        return bool(self._ready) and not self.stopped

    def learn(self, names: list[str]) -> set[str]:
        """Hear of those namespaces, and of the folders that tell what other guestwires do; those of them that exist."""
        for folder in (RUN, self._store.folder, namespaces.FOLDER):
            with contextlib.suppress(FileNotFoundError):
                self._folders.add(folder)
        found = {""}
        for name in filter(None, names):
            with contextlib.suppress(OSError):
                fd = namespaces.open_namespace(name)
                try:
                    self._monitor.learn(name, fd)
                    found.add(name)
                finally:
                    os.close(fd)
        return found & set(names)

    def numbers(self) -> dict[tuple[str, int], str]:
        """Which namespace the one that we are in knows by which number."""
        return self._monitor.numbers()

    def follow(self, seen: Web, users: Iterable[int]) -> None:
        """Hear of the ends of all processes in a picture, and of those that use it."""
        self._users = {*users, *(each.pid for each in seen.of(Attachment) if each.pid)}
        pids = self._users | {pid for value in seen.of(Thing) if (pid := getattr(value, "pid", 0))}
        for pid in self._processes.keys() - pids:
            self._leave(pid)
        for pid in pids - self._processes.keys():
            with contextlib.suppress(ProcessLookupError):
                handle = self._processes[pid] = os.pidfd_open(pid)
                self._poll.register(handle, select.EPOLLIN)

    def _leave(self, pid: int) -> None:
        handle = self._processes.pop(pid)
        self._poll.unregister(handle)
        os.close(handle)

    def hear(self, stale: Stale, seen: Web, wanted: Web) -> bool:
        """Take note of all that has happened since the last call; whether anything has.

        Raises OSError (ENOBUFS) where the kernel had more to tell than it could keep.
        """
        heard = self._ends(stale, seen) | self._files(stale, seen)
        events = self._monitor.events()
        stale.note(events, seen, wanted)
        return heard or bool(events)

    def _files(self, stale: Stale, seen: Web) -> bool:
        news = self._folders.news()
        for path in news:
            folder, _, name = path.rpartition("/")
            if not path:
                stale.everything = True
            elif folder == namespaces.FOLDER and name and (name in seen.scope or self._is_ours(name)):
                self._monitor.forget(name)
                self.learn([name])  # where it has come, or come again
                stale.namespaces.add(name)
        return bool(news)

    def _is_ours(self, name: str) -> bool:
        return name.startswith((f"{self._store.project}-", f"{self._store.project}."))

    def _ends(self, stale: Stale, seen: Web) -> bool:
        ready, self._ready = self._ready, set()
        ended = {pid for pid, handle in self._processes.items() if handle in ready}
        if not ended:
            return False
        for pid in ended:
            self._leave(pid)
        stale.anew |= not ended.isdisjoint(self._users)
        stale.keys.update(value.key for value in seen.of(Thing) if getattr(value, "pid", 0) in ended)
        return True
