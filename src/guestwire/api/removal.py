"""down and rollback: what takes a project away. Neither needs the file, so neither waits for what reads files."""

from __future__ import annotations

from pathlib import Path

from guestwire import rootless
from guestwire.api.loans import claim, give_back, hand_over, heirs_of, to_look_up
from guestwire.api.outcome import Outcome
from guestwire.api.work import DEFAULT_FILE, at_work, get_in, lock_of, related
from guestwire.apply import Store, apply, projects, settle, tidy
from guestwire.linux.kernel import Kernel
from guestwire.linux.userns import capable
from guestwire.observe import look_up, observe
from guestwire.picture import Desired
from guestwire.plan import make_plan

__all__ = ["down", "rollback"]


def down(path: str | None = None, *, project: str | None = None, netns: str | None = None) -> Outcome:
    """Remove what `up` made and give back what it borrowed; nothing where nothing is up.

    The project is `project`, or the file's; where it was built is known from its state.
    """
    name, host, lab = _which(path, project, netns)
    with at_work(name, host, lab) as kernel:
        store = Store(name)
        state = store.state()
        seen = observe(kernel, host, related(name))
        look_up(kernel, seen, to_look_up(state))
        claim(seen, state)
        desired = Desired()
        loans = state.loans if state else {}
        heirs = heirs_of(name, host)
        give_back(desired, seen, name, loans, heirs)
        made = make_plan(seen, desired, name)
        hand_over(loans, heirs)
        if made or state:
            apply(kernel, made, store, host, None)
        return Outcome(name, made)


def _which(path: str | None, project: str | None, netns: str | None) -> tuple[str, str, bool]:
    """The project that is meant, its host and kind.

    It is found by its name, or by the file that it was built from, whatever that says by now: a broken file can't keep
    it up. Only where neither is known the file is read.
    """
    if project is None and capable():
        place = str(Path(path or DEFAULT_FILE).absolute())
        states = [state for name in projects() if (state := Store(name).state()) is not None]
        found = [state for state in states if state.file == place and netns in (None, state.host)]
        if len(found) == 1:
            return found[0].project, found[0].host, found[0].lab
    if project is None:
        # Only here: what reads files takes as long to load as all the rest of this verb.
        from guestwire.api.situation import situation

        where = situation(path or DEFAULT_FILE, lab=False, project=None, netns=netns, changes=True)
        return where.project, where.host, where.lab
    get_in(project, lab=False, changes=True)
    state = Store(project).state()
    return (project, state.host, state.lab) if state else (project, netns or "", False)


def rollback(project: str | None = None) -> list[str]:
    """Settle what commands that were broken off left behind, of one project or of all; says what was settled, and how.

    Raises Refused with all that could not be done; what is left then stays in the journal, to be tried again.
    """
    mine = [holder.project for holder in rootless.holders()] if not capable() else []
    if mine and (project in mine or len(mine) == 1):
        get_in(project or mine[0], lab=False, changes=True)
    settled = []
    for name in projects() if project is None else [project]:
        store = Store(name)
        journal = store.journal()
        if journal is None:
            continue
        with Kernel() as kernel, lock_of(kernel, name, journal.host, journal.lab):
            settled.append(f"{name}: {'all was undone' if settle(store) else 'finished, as it was past undoing'}.")
    tidy()
    return settled
