"""watch: keeps a project as its file says, until stopped or taken down."""

from __future__ import annotations

import gc
import time
from collections import deque
from collections.abc import Callable
from contextlib import AbstractContextManager, closing
from dataclasses import dataclass, fields, replace
from typing import Any

from guestwire.api.change import up
from guestwire.api.containers import whereabouts
from guestwire.api.loans import claim, hand_over, to_look_up
from guestwire.api.situation import Situation, meant, situation
from guestwire.api.work import at_work, named, no_journal, related
from guestwire.apply import apply, preflight
from guestwire.compile.whereabouts import Absent
from guestwire.errors import UsageError
from guestwire.kinds import Link
from guestwire.kinds.address import AnyAddress
from guestwire.linux.kernel import Kernel
from guestwire.linux.notify import Notifier
from guestwire.observe import look_up_patiently, observe
from guestwire.picture import Desired, Picture, Value
from guestwire.watch import Repair, Wanted, Watcher, Web

__all__ = ["Watched", "watch"]

MOST = 1000  # repairs that are kept for the end
SPARING = 20  # for what share of the time it is asked whether a container runs by now: a twentieth
LENT = ("up", "master", "port")  # what of a link is ours to set though the link isn't


@dataclass(frozen=True)
class Watched:
    """How a watch went: how it ended, "stopped" or "down", how many repairs there were, and the last of them."""

    project: str
    ended: str
    count: int
    repairs: tuple[Repair, ...]

    def to_json(self) -> dict[str, Any]:
        """As JSON knows it."""
        return {
            "project": self.project,
            "ended": self.ended,
            "count": self.count,
            "repairs": [repair.to_json() for repair in self.repairs],
        }


def watch(
    path: str | None = None,
    *,
    project: str | None = None,
    netns: str | None = None,
    build: bool = False,
    tell: Callable[[Repair], None] = lambda _: None,
    begun: Callable[[str], None] = lambda _: None,
) -> Watched:
    """Keep a project that is up as its file says, until a signal comes or somebody takes it down.

    With `build` it is built first where it isn't up. `tell` is called with each repair, `begun` with the project's name
    once all was looked at. Raises UsageError where the project isn't up, Busy where its first change is unsettled; at
    the first look also what `up` raises. The network stays when it ends.
    """
    gc.enable()  # who starts us may have turned it off, as the command line does for what ends soon
    with closing(Notifier()) as notifier:
        if path == "-":
            raise UsageError("a watch reads the file again when it is needed.", hint="Give it a file, not `-`.")
        where = meant(path, project=project, netns=netns, changes=True)
        if build and where.state is None:
            up(where.path, project=where.project, netns=netns)
        host = _Host(where)
        last: deque[Repair] = deque(maxlen=MOST)
        count = 0

        def note(repair: Repair) -> None:
            nonlocal count
            count += 1
            last.append(repair)
            tell(repair)

        watcher = Watcher(host, notifier, note, begun)
        ended = watcher.run()
        if not watcher.ready and ended == "down":
            if host.store.journal() is not None:
                no_journal(host.project, host.netns)  # a first `up` that waits to be confirmed, or was broken off
            raise UsageError(f"project {host.project} isn't up.", hint="`guestwire up` builds it; then watch it.")
        return Watched(host.project, ended, count, tuple(last))


class _Host:
    """A project on its host, for who watches it."""

    def __init__(self, where: Situation) -> None:
        self._where = where
        self.project, self.netns, self.store = where.project, where.host, where.store
        self._asked = 0.0  # when to ask next for what wasn't there

    def catch_up(self) -> Wanted | None:
        """As `up` without waiting for leases, where the project is up."""
        if self.store.state() is None:
            return None
        with self.at_work():
            pass  # cheaper than reading a file in vain
        old = self._where
        lab, netns = old.lab, None if old.lab else old.host or None
        where = self._where = situation(old.path, lab=lab, project=old.project, netns=netns)
        if where.state is None:
            return None
        with self.at_work() as kernel:
            made = where.plan(kernel)
            state = where.after(made)
            hand_over(where.returned, where.heirs)
            if made:
                preflight(kernel, made)
                apply(kernel, made, where.store, where.host, state)
            elif state != where.state:
                where.store.write(state)
        assert where.site is not None
        desired = where.site.desired
        picture = Web(_as_lent(desired, where))
        assert where.seen is not None
        given = {place: Web(where.seen.of(AnyAddress, place[0])).addresses(place) for place in where.site.given}
        problem, where.seen, where.state = where.site.problem, None, state
        users = tuple(program.pid for program in state.programs)
        wanted = Desired(picture, set(desired.absent), set(desired.borrowed))
        return Wanted(made, picture, wanted, state, bool(where.site.absent), given, users, problem)

    def has_come(self) -> bool:
        began = time.monotonic()
        if began < self._asked:
            return False
        now = whereabouts(self._where.file)
        self._asked = time.monotonic() + max(1, SPARING * (time.monotonic() - began))
        return any(
            isinstance(old, Absent) and not isinstance(now[name], Absent) for name, old in self._where.found.items()
        )

    def look(self, wanted: Wanted) -> Picture:
        with Kernel() as kernel:
            seen = observe(kernel, self.netns, related(self.project))
            keys = dict.fromkeys([*named(wanted.picture), *to_look_up(wanted.state)])
            look_up_patiently(kernel, seen, keys, wanted.picture)
            claim(seen, wanted.state)
            return seen

    def claim(self, seen: Picture, wanted: Wanted) -> None:
        claim(seen, wanted.state)

    def at_work(self) -> AbstractContextManager[Kernel]:
        no_journal(self.project, self.netns)  # so that who settles it doesn't find the lock taken
        return at_work(self.project, self.netns, self._where.lab, brief=True)

    def namespaces(self) -> list[str]:
        return list(dict.fromkeys([self.netns, *related(self.project)]))


def _as_lent(desired: Desired, where: Situation) -> list[Any]:
    """What is wanted; of somebody else's links only what is ours to set: the rest its owner may change at any time.

    An uplink that was found to be right is wanted to stay up.
    """
    assert where.site is not None
    uplinks = [where.site.uplink(network.uplink) for network in where.file.networks.values() if network.uplink]
    right = {link.key: link for link in uplinks if link is not None and link.owner != where.project}
    found: list[Any] = [_bare(link, up=True) for key, link in right.items() if key not in desired.picture]
    for value in desired.picture:
        if isinstance(value, Link) and value.key in desired.borrowed:
            base = where.site.base.get(value.key)
            kept = {name: getattr(value, name) for name in _settings(value) if _ours(name, value, base)}
            value = _bare(value, **kept)
        found.append(value)
    return found


def _settings(link: Link) -> list[str]:
    return [f.name for f in fields(link) if f.metadata.get("sort") == "setting"]


def _ours(name: str, link: Link, base: Value | None) -> bool:
    return name in LENT or getattr(base, name, None) != getattr(link, name)


def _bare(link: Link, **settings: Any) -> Link:
    """A link of which nothing is wanted but these."""
    nothing: dict[str, Any] = dict.fromkeys(_settings(link))
    return replace(link, **{**nothing, **settings})
