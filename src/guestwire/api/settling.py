"""confirm and rollback: what settles a change that waits to be confirmed, or was broken off. Neither needs the file."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from guestwire import rootless
from guestwire.api.work import get_in, lock_of, see_on, see_there
from guestwire.apply import Journal, Store, projects, settle, tidy
from guestwire.errors import Busy, GuestwireError, Problem, Rejected, UsageError
from guestwire.linux.kernel import Kernel
from guestwire.linux.userns import capable

__all__ = ["confirm", "rollback"]

LOST = "Where its time was over, all is as it was before."


def rollback(project: str | None = None, *, netns: str | None = None) -> list[str]:
    """Settle what commands that were broken off left behind, of one project or of all; says what was settled, and how.

    With `netns` only on that host.

    A change that waits to be confirmed is taken back. One that can't be settled doesn't keep the others from it:
    Refused, or Busy, with all that could not be done comes at the end; what is left then stays in its journal, to be
    tried again.
    """
    settled: list[str] = []
    failed: list[GuestwireError] = []
    for store in _unsettled(project, netns):
        try:
            with _locked(store) as journal:
                if journal is not None:
                    how = "all was undone" if settle(store) else "finished, as it was past undoing"
                    settled.append(f"{store.project}: {how}.")
        except GuestwireError as error:
            failed.append(error)
    tidy()
    if failed:
        told = [Problem(f"settled all the same: {each}") for each in settled]
        raise type(failed[0])(*(problem for error in failed for problem in error.problems), *told) from failed[0]
    return settled


def confirm(project: str | None = None, *, netns: str | None = None) -> list[str]:
    """Keep changes that wait to be confirmed, of one project or of all, and carry out what couldn't be undone.

    With `netns` only on that host.

    Says what was confirmed. Raises Rejected where nothing waits, and Busy where a change was broken off before it was
    whole; nothing is done then. Raises Refused as `rollback` does.
    """
    confirmed = []
    stores = _unsettled(project, netns)
    for store in stores:  # all, before the first is kept for good
        _see_whole(store, store.journal())
    for store in stores:
        with _locked(store) as journal:
            if journal is None:
                continue
            _see_whole(store, journal)
            if not journal.committed:
                store.commit()
            settle(store)
            confirmed.append(f"{store.project}: confirmed.")
    if not confirmed:
        raise Rejected(f"nothing{f' of project {project}' if project else ''} is waiting to be confirmed.", hint=LOST)
    return confirmed


def _see_whole(store: Store, journal: Journal | None) -> None:
    if journal is not None and not (journal.waits or journal.committed):
        raise Busy(
            f"a change of project {store.project} was broken off before it was whole (process {journal.pid}).",
            hint=f"`guestwire rollback --project {store.project}` takes it back.",
        )


def _unsettled(project: str | None, netns: str | None) -> list[Store]:
    """The stores of the project, or of all, that have a journal; with `netns` of that host, else of any.

    An ordinary user's are in the lab. Raises UsageError where such a user has several labs and names none, each being
    on a host of its own, and where there is no host `netns`; FileError where the project is on another.
    """
    mine = [holder.project for holder in rootless.holders()] if not capable() else []
    if mine and (project in mine or len(mine) == 1):
        get_in(project or mine[0], lab=False, changes=True)
    elif project is None and mine:
        raise UsageError("you have several labs.", hint=f"Say which is meant: --project {' or '.join(sorted(mine))}.")
    stores = [Store(name) for name in (projects() if project is None else [project])]
    found = [store for store in stores if store.has_journal]
    if netns is None:
        return found
    hosts = {store: journal.host for store in found if (journal := store.journal()) is not None}
    there = [store for store, host in hosts.items() if host == netns]
    if not there:  # of one that has ended meanwhile a journal may lie here yet
        see_there(netns)
        if project is not None:
            for host in hosts.values():
                see_on(project, host, netns)
    return there


@contextmanager
def _locked(store: Store) -> Iterator[Journal | None]:
    """The journal, with its host locked; None where it was settled meanwhile."""
    journal = store.journal()
    if journal is None:
        yield None
        return
    with Kernel() as kernel, lock_of(kernel, store.project, journal.host, journal.lab):
        yield store.journal()
