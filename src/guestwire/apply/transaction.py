"""Runs a plan's steps with the journal written before the first, and takes them back where one is refused.

Undoing is planning: the journal says how each touched key was, what is now is read afresh, and the steps between the
two are made and run like any others. So it needs no record of how far the change had come, it can be repeated, and it
is the same after a refused step, after Ctrl-C, and after kill -9 by whichever command comes next.

Before the first step that can't be undone the change is judged: by what measures whether it does what it shall, and
where it is to be confirmed by a person. Who says no has it taken back as a refused step has.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import chain

from guestwire.apply.fault import Fault
from guestwire.apply.parents import wait_for_end, wait_for_macs
from guestwire.apply.store import Entry, Journal, State, Store
from guestwire.errors import GuestwireError, Interrupted, NotPermitted, Problem, Refused, Unavailable
from guestwire.kinds import Link, Thing
from guestwire.kinds.attachment import Attachment
from guestwire.kinds.dhcp import DhcpClient, without_lease
from guestwire.kinds.namespace import Namespace
from guestwire.kinds.process import Process
from guestwire.linux import namespaces
from guestwire.linux.kernel import Kernel
from guestwire.observe import look_up, observe
from guestwire.picture import Desired, Picture
from guestwire.plan import REST, Act, Plan, Step, make_plan
from guestwire.signals import Stop, noted, too_late

__all__ = ["Confirm", "apply", "attempt", "settle"]

PATIENCE = 3  # seconds that a lease gets to come again
TRIES = 2  # who was killed may have just started a daemon, which shows itself only when it's ready
NOTHING = "Without one nothing could be undone, so nothing was done. Make room there."


@dataclass(frozen=True)
class Confirm:
    """That a change is to be confirmed within so many seconds from when it is whole.

    `begin` starts who takes it back otherwise. It is called before the first step, so that whoever dies midway, it is
    settled; raises GuestwireError or OSError.
    """

    seconds: int
    begin: Callable[[], None]


def apply(
    kernel: Kernel,
    plan: Plan,
    store: Store,
    host: str,
    after: State | None,
    accept: Callable[[], None] | None = None,
    confirm: Confirm | None = None,
) -> None:
    """Carry out a plan; `after` is the project's state then, None where nothing is left of it.

    `accept` is called once all is done that can be undone, and raises GuestwireError (say Rejected) to have it taken
    back. With `confirm` it stays at that: the journal waits for `settle`, with what can't be undone yet to do.

    Raises Refused, Unavailable, NotPermitted, Interrupted or what `accept` raised, with the host as it was before, or,
    where not even that could be had, with what is left said and the journal kept for `rollback`. The kernel object is
    closed in that case.
    """
    fault = Fault()
    with noted() as stop:
        try:
            fault.strike(kernel, write=True)
            store.begin(plan, host, after, confirm.seconds if confirm is not None else None)
        except OSError as error:
            raise Refused(f"the journal can't be written: {error.strerror} ({store.folder}).", hint=NOTHING) from error
        acts = _acts(kernel, plan)
        try:
            if confirm is not None:
                confirm.begin()
            end = _do_what_can_be_undone(kernel, plan, acts, fault, stop)
            _judge(kernel, accept, stop)
            if confirm is not None or end is not None:
                fault.strike(kernel, write=True)
            if confirm is not None:
                store.wait(time.monotonic() + confirm.seconds)
                fault.strike(kernel, write=True)
            elif end is not None:
                store.commit()
        except (OSError, GuestwireError) as error:
            failed = _first(kernel, error)
            kernel.close()
            raise _undone(store, failed) from error
        if confirm is None:
            _finish(kernel, [] if end is None else chain([end], acts), store, after, fault)
        too_late()


def _do_what_can_be_undone(kernel: Kernel, plan: Plan, acts: Iterator[Act], fault: Fault, stop: Stop) -> Act | None:
    """Do the acts before the first that can't be undone, which is returned; raises what the kernel refused."""
    end = None
    has_room = False
    for act in acts:
        if not (has_room or act.makes_room):
            _check(kernel)
            kernel.token = None
            wait_for_macs(kernel, plan)
            has_room = True
        if stop.asked:
            raise Interrupted("interrupted; all was undone.")
        if act.final:
            end = act
            break
        fault.strike(kernel)
        act.do(kernel)
        if kernel.failures:
            break
    _check(kernel)
    return end


def _judge(kernel: Kernel, accept: Callable[[], None] | None, stop: Stop) -> None:
    """Have the change judged, which a signal may end; raises what is against it."""
    if accept is None:
        return
    kernel.do_last()
    stop.interrupts = True
    try:
        if stop.asked:
            raise KeyboardInterrupt
        accept()
    except KeyboardInterrupt:
        raise Interrupted("interrupted; all was undone.") from None
    finally:
        stop.interrupts = False


def _finish(kernel: Kernel, acts: Iterable[Act], store: Store, after: State | None, fault: Fault) -> None:
    """Do the acts that can't be undone, where there are any, and keep the state in place of the journal."""
    committed = False
    try:
        for act in acts:
            committed = True
            fault.strike(kernel)
            act.do(kernel)
        _check(kernel)
    except OSError as error:
        raise Refused(*_told([_first(kernel, error)], "`guestwire rollback` goes on from there.")) from error
    try:
        fault.strike(kernel, write=True)
        store.write(after)
        fault.strike(kernel, write=True)
        store.settled()
    except OSError as error:
        kernel.close()
        raise (_unwritten(store, error) if committed else _undone(store, (None, error))) from error


def settle(store: Store) -> bool:
    """Settle a journal that a change left behind: back to what was before, or past its commit point forward.

    True where it went back. Raises Refused with everything that could not be done, and keeps the journal then.
    """
    with noted():
        journal = store.journal()
        assert journal is not None
        try:
            for _ in range(1 if journal.pid == os.getpid() else TRIES):
                with Kernel() as kernel:
                    problems = (_forward if journal.committed else _back)(kernel, store, journal)
                if not problems:
                    break
        except OSError as error:  # as when what is there can't be read
            problems = _told([(None, error)])
        if problems:
            raise Refused(*problems)
        for entry in journal.entries:
            if entry.key.kind == Namespace.KIND:
                namespaces.clear(entry.key.name)
        state = journal.after if journal.committed else journal.before
        try:
            if store.state() != state:
                store.write(state)
            store.settled()
        except OSError as error:
            raise _unwritten(store, error) from error
        return not journal.committed


def _unwritten(store: Store, error: OSError) -> Refused:
    message = f"all is done, but the state can't be written: {error.strerror} ({store.folder})."
    return Refused(message, hint="Make room, then `guestwire rollback` goes on from there.")


def _undone(store: Store, failed: tuple[Step | None, Exception]) -> GuestwireError:
    error = failed[1]
    try:
        settle(store)
    except (Refused, Unavailable) as left:  # Unavailable where a daemon has gone meanwhile
        return Refused(
            *_told([failed]), Problem("and not all could be undone; `guestwire rollback` tries again:"), *left.problems
        )
    if isinstance(error, GuestwireError):
        return error
    number = error.errno if isinstance(error, OSError) else None
    kinds_of_error = {1: NotPermitted, 13: NotPermitted, 95: Unavailable}
    return kinds_of_error.get(number or 0, Refused)(*_told([failed], "All was undone."))


def _check(kernel: Kernel) -> None:
    kernel.flush()
    if kernel.failures:
        raise kernel.failures[0][1]


def _first(kernel: Kernel, error: Exception) -> tuple[Step | None, Exception]:
    """The first thing that went wrong: what follows it in the same batch are its consequences."""
    if isinstance(error, GuestwireError):
        return None, error
    token = kernel.token
    if isinstance(error, OSError) and not kernel.failures:
        kernel.flush()
    return kernel.failures[0] if kernel.failures else (token, error)


def _told(failed: Iterable[tuple[Step | None, Exception]], then: str = "") -> list[Problem]:
    found = []
    for step, error in failed:
        words = (error.strerror if isinstance(error, OSError) else None) or str(error)
        what = f"{step.describe()}: " if isinstance(step, Step) else ""
        number = error.errno if isinstance(error, OSError) else None
        why = step.value.why_refused(number) if isinstance(step, Step) and number else None
        hint = " ".join(filter(None, (then, why)))
        found.append(Problem(f"{what}{words.rstrip('.')}.", hint or None))
    return found


def _acts(kernel: Kernel, plan: Plan) -> Iterator[Act]:
    """What a plan does, in order, with the kernel given the time it takes to end what was deleted."""
    acts = plan.acts()
    rest = next((place for place, act in enumerate(acts) if act.order[0] == REST), len(acts))
    yield from acts[:rest]
    kernel.flush()
    wait_for_end(kernel, plan.implied)
    yield from acts[rest:]


def attempt(kernel: Kernel, plan: Plan) -> list[tuple[Step | None, Exception]]:
    """Run a plan past all errors, without a journal; the steps that were refused, each with why."""
    failed: list[tuple[Step | None, Exception]] = []
    for act in _acts(kernel, plan):
        try:
            act.do(kernel)
        except OSError as error:
            failed.append((act.step, error))
    return [*failed, *kernel.refused()]


def _back(kernel: Kernel, store: Store, journal: Journal) -> list[Problem]:
    seen = _observe(kernel, journal)
    if journal.pid != os.getpid():  # who was killed may have just asked a process to end: it is started anew
        for entry in journal.entries:
            if isinstance(entry.before, Process):
                seen.values.pop(entry.key, None)
    desired = Desired()
    came = [entry for entry in journal.entries if entry.before is None]
    ours = {entry.key for entry in came if _is_ours(seen, entry, store.project)}
    made = {key.netns for key in ours if key.kind == Namespace.KIND}  # in one that came, all that was to come is ours
    desired.absent.update(entry.key for entry in came if entry.key in ours or entry.key.netns in made)
    desired.borrowed.update(entry.key for entry in journal.entries)
    desired.picture.add(*_beginnings(seen, journal, desired))
    plan = make_plan(seen, desired, store.project, sweep=False)
    kernel.forced = True
    problems = _told(attempt(kernel, plan))
    again = (step.value for step in plan.steps if step.action == "create")
    without_lease((client for client in again if isinstance(client, DhcpClient)), PATIENCE)
    now = _observe(kernel, journal)
    left = [
        f"{key.kind} {key.name}{f' in namespace {key.netns}' if key.netns else ''}"
        for key, value in desired.picture.values.items()
        if isinstance(value, Thing)
        and value.can_return()
        and not value.fleeting
        and ((found := now.get(key)) is None or value.differs(found))
    ] + [f"{key.kind} {key.name}" for key in desired.absent if key in now]
    return (problems or [Problem(f"not as it was before: {name}.") for name in left]) if left else []


def _beginnings(seen: Picture, journal: Journal, desired: Desired) -> Iterator[Thing]:
    """What was before, but for what worked on a link that had gone, or was in a container that has ended."""
    before = [entry.before for entry in journal.entries if entry.before is not None]
    ended = {v.netns for v in [*before, *seen] if isinstance(v, Attachment) and not v.can_return()}
    before = [value for value in before if ended.isdisjoint([value.netns, *(place[0] for place in value.on_links())])]
    there = [link for link in seen.of(Link) if link.key not in desired.absent]
    links = {value.place for value in [*before, *there] if isinstance(value, Link)}
    for value in before:
        if all(place in links or place[0] not in seen.scope for place in value.uses()):
            yield value


def _is_ours(seen: Picture, entry: Entry, project: str) -> bool:
    """Whether what has an entry's key now came from the unsettled change.

    A link and a namespace get their mark right after they are made, and the change may have ended in between: a link is
    known by its MAC then, a namespace by having nothing in it.
    """
    value = seen.get(entry.key)
    if value is None:
        return False
    if value.owner is not None:
        return value.owner == project
    if isinstance(value, Link):
        return entry.mac is not None and value.mac == entry.mac
    if isinstance(value, Namespace):
        return not seen.of(Link, entry.key.netns)
    return not entry.marked


def _forward(kernel: Kernel, store: Store, journal: Journal) -> list[Problem]:
    seen = _observe(kernel, journal)
    desired = Desired()
    for entry in journal.entries:
        value = seen.get(entry.key)
        if entry.goes and value is not None and value.owner == store.project:
            desired.absent.add(entry.key)
    wait_for_end(kernel, (entry.before for entry in journal.entries))
    down = list(_set_down(seen, journal))
    desired.borrowed.update(value.key for value in down)
    desired.picture.add(*down, *(entry.comes for entry in journal.entries if entry.comes is not None))
    return _told(attempt(kernel, make_plan(seen, desired, store.project, sweep=False)))


def _set_down(seen: Picture, journal: Journal) -> Iterator[Link]:
    """The lent links that this change had yet to set down: of what is given back that alone comes after the commit."""
    kept = journal.after.loans if journal.after else {}
    given = journal.before.loans if journal.before else {}
    for key in (entry.key for entry in journal.entries if entry.key not in kept):
        loan, have = given.get(key), seen.get(key)
        if isinstance(loan, Link) and isinstance(have, Link) and have.up and not loan.up:
            yield replace(have, up=False)


def _observe(kernel: Kernel, journal: Journal) -> Picture:
    keys = [entry.key for entry in journal.entries]
    # Those of links that touched ones hang on as well: unread, the other end of a cable would be another than before.
    beyond = [netns for entry in journal.entries if entry.before for netns, _ in entry.before.on_links()]
    seen = observe(kernel, journal.host, dict.fromkeys([*(key.netns for key in keys), *beyond]))
    look_up(kernel, seen, keys)
    return seen
