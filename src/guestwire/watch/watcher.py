"""The loop of a watch: hear, read again what may have changed, plan between what is and what shall be, and do it.

Both pictures are kept. An event says only where to look: what is there is read, so that the order of events, and those
that came twice, don't matter. From the keys that changed and what they concern comes a plan like any other, which is
carried out with journal and lock. While another guestwire is at work, or a journal is unsettled, nothing is done.
"""

from __future__ import annotations

import contextlib
import errno
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

from guestwire.apply import apply
from guestwire.errors import Busy, GuestwireError, Interrupted, Problem
from guestwire.kinds import Link, Thing
from guestwire.kinds.address import AnyAddress
from guestwire.kinds.hostclient import HostClient, passes
from guestwire.kinds.namespace import Namespace
from guestwire.kinds.route import AnyRoute
from guestwire.kinds.veth import Veth
from guestwire.linux.kernel import Kernel
from guestwire.linux.notify import Notifier
from guestwire.linux.rtnetlink import read_link
from guestwire.observe import Again
from guestwire.picture import Desired, Key, Picture, Value
from guestwire.plan import Plan, Step, make_plan
from guestwire.signals import asked_to_stop
from guestwire.watch.host import Host, Wanted
from guestwire.watch.patience import Patience
from guestwire.watch.repair import Repair, roots
from guestwire.watch.sources import Sources
from guestwire.watch.stale import Stale, is_silent
from guestwire.watch.web import Web, concerned, part

__all__ = ["Watcher"]

TICK = 1.0  # seconds between two looks at what the kernel tells no changes of, and at what keeps us from working
LOOK = 600.0  # seconds after which all is read again, whatever was heard
DYING = 0.3  # seconds that the kernel gets to end the links of a namespace whose name has gone
SLICE = 256  # of those things are read in one tick
SETTLING = 0.001  # seconds without an event after which what happened is taken to be over
ROUNDS = 10  # how often that is waited for before what has been told is looked at


class Watcher:
    """Watches one project. `tell` is called with each repair, `begun` with its name once all was looked at."""

    def __init__(
        self, host: Host, notifier: Notifier, tell: Callable[[Repair], None], begun: Callable[[str], None]
    ) -> None:
        self._host = host
        self._notifier = notifier
        self._tell = tell
        self._begun = begun
        self._wanted: Wanted | None = None
        self._seen = Web()
        self._stale = Stale()
        self._numbers: dict[tuple[str, int], str] = {}
        self._pending: set[Key] = set()
        self._dying: dict[str, tuple[float, set[Key]]] = {}
        self._left: set[Key] = set()  # of them what is let be for now
        self._patience = Patience()
        self._stamp: object = None  # of the state that `wanted` was made for
        self._blocked = False
        self._since: float | None = None
        self._slow: list[Key] = []
        self._looked = self._ticked = self._paused = 0.0
        self.ready = False

    def run(self) -> str:
        """Watch until a signal comes or the project is taken down; which of the two: "stopped" or "down".

        Raises what `up` raises where the first look finds the file wrong; later on such things are told.
        """
        with asked_to_stop() as stop, contextlib.closing(Sources(self._host.store, stop)) as sources:
            try:
                while self._step(sources):
                    sources.wait(self._timeout())
                    if sources.stopped:
                        break
            except (Interrupted, KeyboardInterrupt):
                sources.stopped = True
            self._notifier.say("STOPPING=1")
            return "down" if self._wanted is None and not sources.stopped else "stopped"

    def _timeout(self) -> float:
        """For how long there is nothing to do unless something happens."""
        now = time.monotonic()
        if now < self._paused:
            return min(self._paused - now, self._notifier.interval or TICK)
        awaits = self._wanted is not None and self._wanted.awaits
        waits = [TICK if self._slow or awaits or self._blocked else LOOK, self._notifier.interval]
        waits += [self._patience.next()] if self._pending else []
        waits += [until - now for until, _ in self._dying.values()]
        waits += [0.0] if self._stale and not self._blocked else []
        return max(0.0, min(wait for wait in waits if wait is not None))

    def _step(self, sources: Sources) -> bool:
        """One round; False where the project is no more."""
        if self.ready and self._notifier.interval is not None:
            self._notifier.say("WATCHDOG=1")
        try:
            if self.ready:
                self._hear(sources)
            if time.monotonic() < self._paused:
                return True
            if self._blocked:
                with self._host.at_work():
                    self._blocked = False
            anew = self._stamp is None or self._host.store.stamp() != self._stamp or self._moved()
            if anew and not self._start(sources):
                return False
            self._tick()
            self._read(sources)
            self._repair(sources)
        except Busy:  # look again when its lock has gone, or in a while
            journal = self._host.store.journal()
            if not self.ready and journal is not None and not (journal.waits or journal.is_under_way):
                raise  # that settles nobody unless he is told
            self._blocked = True
        except (OSError, GuestwireError) as error:
            if isinstance(error, Interrupted) or not self.ready:
                raise
            self._pause(error)
        return True

    # What is wanted

    def _moved(self) -> bool:
        """Whether something is elsewhere or gone that what is wanted was made for: a container, a program."""
        return self._stale.anew or (self._wanted is not None and self._wanted.awaits and self._host.has_come())

    def _start(self, sources: Sources) -> bool:
        """Begin, or begin anew after somebody's `up`."""
        began = time.monotonic()
        sources.learn(self._host.namespaces())
        wanted = self._host.catch_up()
        if wanted is None:
            self._wanted = None
            return False
        self._wanted = wanted
        self._stamp = self._host.store.stamp()
        self._slow = [value.key for value in wanted.picture.of(Thing) if is_silent(value)]
        sources.learn(self._host.namespaces())
        self._look(sources)
        if wanted.done:
            causes, steps = tuple(roots(wanted.done.steps)), tuple(wanted.done.steps)
            self._tell(Repair(self._host.project, time.time(), time.monotonic() - began, causes, steps))
        if not self.ready:
            self.ready = True
            self._begun(self._host.project)
            self._notifier.say("READY=1", f"STATUS=Watching {self._host.project}.")
        return True

    def _look(self, sources: Sources) -> None:
        """Read all there is."""
        assert self._wanted is not None
        self._stale = Stale()
        self._dying.clear()
        sources.learn(self._host.namespaces())
        self._numbers.clear()
        self._renew(self._seen)
        self._seen = Web(self._host.look(self._wanted))
        self._seen.scope = set(self._host.namespaces())
        self._looked = time.monotonic()
        self._pending = set(self._wanted.picture.values) | set(self._seen.values)
        self._stale.anew = self._wanted.is_outdated(self._seen)
        sources.follow(self._seen, self._wanted.users)

    # What is seen

    def _hear(self, sources: Sources) -> None:
        """Take note of what has happened, until it seems to be over."""
        assert self._wanted is not None
        for _ in range(ROUNDS):
            try:
                if not sources.hear(self._stale, self._seen, self._wanted.picture):
                    break
            except OSError as error:
                if error.errno != errno.ENOBUFS:
                    raise
                self._stale.everything = True
            self._since = self._since or time.monotonic()
            if not sources.quick(SETTLING):
                break

    def _tick(self) -> None:
        """Every second have some of what the kernel tells no changes of looked at, and at times all there is."""
        now = time.monotonic()
        if now - self._looked >= LOOK:
            self._stale.everything = True
        if self._slow and now - self._ticked >= TICK:
            self._ticked = now
            self._stale.keys.update(self._slow[:SLICE])
            self._slow = self._slow[SLICE:] + self._slow[:SLICE]

    def _read(self, sources: Sources, kernel: Kernel | None = None) -> None:
        """Read again what may have changed."""
        if not self._stale:
            return
        assert self._wanted is not None
        if self._stale.everything:
            self._look(sources)
            return
        stale, self._stale = self._stale, Stale()
        with contextlib.nullcontext(kernel) if kernel is not None else Kernel() as reading:
            assert reading is not None
            self._numbers.update(sources.numbers())
            again = Again(reading, self._seen, self._numbers)
            stale.renew(again, self._seen, self._wanted.picture)
        self._stale.anew = self._wanted.is_outdated(self._seen)
        if stale.keys:
            self._host.claim(self._seen, self._wanted)
            sources.follow(self._seen, self._wanted.users)
        self._dying.update((netns, (time.monotonic() + DYING, ends)) for netns, ends in stale.dying.items())
        self._renew(value for value in again.changed.values() if value is not None)
        self._patience.changed(again.changed)
        if again.unread.keys() - self._patience.held():
            self._fail(set(again.unread), next(iter(again.unread.values())))
        self._pending |= again.changed.keys() | stale.touched

    def _renew(self, seen: Iterable[Value]) -> None:
        """Want what is gone, or about to be looked at, to have the lifetime that it had last."""
        assert self._wanted is not None
        wanted = self._wanted.picture
        for value in seen:
            if isinstance(value, AnyAddress | AnyRoute):
                want = wanted.get(value.key)
                if isinstance(want, type(value)) and want.until != value.until:
                    until: dict[str, Any] = {"until": value.until}
                    wanted.add(replace(want, **until))

    # What is done

    def _repair(self, sources: Sources) -> None:
        """Plan for what has changed, and carry it out."""
        if self._plan():
            with self._host.at_work() as kernel:
                if self._host.store.stamp() != self._stamp:
                    return  # somebody has changed the project in the meantime
                self._see_through(sources, kernel)
                self._hear(sources)
                self._read(sources, kernel)
                made = self._plan()
                if made and self._let_pass(made):
                    made = self._plan()
                if made:
                    self._carry_out(sources, kernel, made)
        elif not self._pending:
            self._since = None

    def _see_through(self, sources: Sources, kernel: Kernel) -> None:
        """Wait until the kernel is through with what it is about, and take note of what it tells meanwhile.

        Asked for a link, it answers once it is; a thread asks, for the end of a bridge of 1,000 ports takes it .4 s.
        """
        sock = kernel.socket(self._host.netns)

        def ask() -> None:
            with contextlib.suppress(OSError):
                read_link(sock, "lo")

        asking = threading.Thread(target=ask)
        asking.start()
        while asking.is_alive():
            if sources.quick(SETTLING):
                self._hear(sources)
                self._read(sources)
        asking.join()

    def _plan(self) -> Plan | None:
        """The steps that repair what has changed, but for what is let be for now."""
        assert self._wanted is not None
        if not self._pending:
            return None
        held = self._patience.held() | self._unended()
        let_be = concerned(self._seen, self._wanted.picture, held) if held else set()
        self._left = self._pending & let_be
        keys = concerned(self._seen, self._wanted.picture, self._pending - let_be) - let_be
        made = self._possible(*part(self._seen, self._wanted.desired, keys))
        if made is None:
            return self._plan()
        if not made:
            self._pending = self._left
            self._since = self._since if self._dying else None
            return None
        return made

    def _let_pass(self, made: Plan) -> bool:
        """Want no more what a router or a DHCP server has taken back from a link that stands, or has given otherwise
        since; whether any was. What went with its link comes back with it, if it has time left.
        """
        assert self._wanted is not None
        wanted = self._wanted.picture
        asking = {place for client in wanted.of(HostClient) for place in client.places()}
        remade = {step.value.place for step in made.steps if isinstance(step.value, Link)}
        values = [step.value for step in made.steps if step.key in wanted and step.value.owner != made.project]
        passed = [v for v in values if passes(v, asking) and v.on_links() and remade.isdisjoint(v.on_links())]
        for value in passed:
            seen = self._seen.get(value.key)
            if seen is None:
                wanted.remove(value.key)
            else:
                wanted.add(seen)
        return bool(passed)

    def _unended(self) -> set[Key]:
        """The namespaces that have gone while the far ends of their links haven't: the kernel is about to end them.

        Where it doesn't, a process keeps the namespace: then they are taken away.
        """
        for netns, (until, ends) in list(self._dying.items()):
            left = [link for key in ends if isinstance(link := self._seen.get(key), Veth)]
            if left and time.monotonic() < until:
                continue
            del self._dying[netns]
            self._seen.add(*(replace(link, peer=("?", link.name)) for link in left if link.owner == self._host.project))
            self._pending |= {link.key for link in left}
        return {Key("", netns, Namespace.KIND, netns) for netns in self._dying}

    def _possible(self, seen: Picture, desired: Desired) -> Plan | None:
        """The plan between two parts, None where something of it can't be; that is let be then."""
        assert self._wanted is not None
        wanted, impossible = self._wanted, set[Key]()

        def problem(key: Key, message: str, hint: str) -> Problem:
            impossible.add(key)
            return wanted.problem(key, message, hint)

        try:
            made = make_plan(seen, desired, self._host.project, problem=problem)
        except GuestwireError as error:
            if not impossible:
                raise
            self._fail(impossible, error)
            return None
        drastic = [step.value for step in made.steps if step.action != "change"]
        foreign = [value for value in drastic if isinstance(value, Link) and value.owner != made.project]
        if foreign:
            names = ", ".join(sorted({value.name for value in foreign}))
            places = [wanted.picture.link((value.netns, value.name)) for value in foreign]
            keys = {value.key for value in [*foreign, *places] if value is not None}
            self._fail(keys, GuestwireError(f"{names} is gone, and isn't guestwire's to make."))
            return None
        return made

    def _carry_out(self, sources: Sources, kernel: Kernel, made: Plan) -> None:
        assert self._wanted is not None
        seen_at = time.time() - (time.monotonic() - (self._since or time.monotonic()))
        causes = tuple(roots(made.steps))
        try:
            # Nothing is borrowed by a repair: what was lent is noted already, and what was right stays so at the end.
            apply(kernel, made, self._host.store, self._host.netns, self._wanted.state)
        except Interrupted:
            raise
        except GuestwireError as error:
            self._forget_undo()
            token = kernel.failures[0][0] if kernel.failures else kernel.token
            keys = {token.key} if isinstance(token, Step) else {step.key for step in causes}
            self._stale.everything = True
            self._fail(keys, error)
            return
        self._stamp = self._host.store.stamp()
        seconds = time.monotonic() - (self._since or time.monotonic())
        self._pending = self._left
        self._since = None
        self._stale.touch(step.value for step in made.steps)
        sources.learn(sorted(self._stale.namespaces))
        wait = self._patience.repaired(causes)
        self._tell(Repair(self._host.project, seen_at, seconds, causes, tuple(made.steps), wait=wait or None))

    # What goes wrong

    def _forget_undo(self) -> None:
        """Where a repair was refused, and its undo too, as somebody goes on changing the same: let go of the journal.

        What it would bring back is what was broken, and what is wanted is known.
        """
        if self._host.store.journal() is not None:
            self._host.store.settled()

    def _fail(self, keys: set[Key], error: GuestwireError) -> None:
        """Let be for a while what could not be repaired, and tell from the second time on."""
        wait = self._patience.failed(keys)
        if wait >= 1:
            self._tell(Repair(self._host.project, time.time(), 0.0, (), (), str(error), wait))

    def _pause(self, error: Exception) -> None:
        """Something could not be read or compiled, most likely for it was changing: all is read again in a while."""
        self._stale.everything = True
        wait = self._patience.failed([Key("", self._host.netns, "", "")])
        self._paused = time.monotonic() + wait
        if wait >= 1:
            self._tell(Repair(self._host.project, time.time(), 0.0, (), (), str(error), wait))
