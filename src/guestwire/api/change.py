"""up, plan, down and rollback: what changes a host, or says how it would."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from guestwire import rootless
from guestwire.api.loans import claim, give_back, hand_over, heirs_of, to_look_up
from guestwire.api.situation import DEFAULT_FILE, Situation, at_work, get_in, lock_of, related, see_settled, situation
from guestwire.apply import Store, apply, preflight, projects, settle
from guestwire.errors import Problem
from guestwire.linux.kernel import Kernel
from guestwire.linux.userns import capable
from guestwire.observe import look_up, observe
from guestwire.picture import Desired
from guestwire.plan import Plan, make_plan

__all__ = ["Outcome", "down", "plan", "rollback", "up"]


@dataclass(frozen=True)
class Outcome:
    """What a verb did or would do: the plan, and what may surprise."""

    project: str
    plan: Plan
    warnings: tuple[Problem, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """The document of cli.md for plan."""
        changes = [
            {
                "action": step.action,
                "kind": step.key.kind,
                "name": step.key.name,
                "netns": step.key.netns,
                "command": "\n".join(command for _, part in step.commands() for command in part),
            }
            for step in self.plan.steps
        ]
        return {"changes": changes, "warnings": [str(warning) for warning in self.warnings]}


def up(path: str | None = None, *, lab: bool = False, project: str | None = None, netns: str | None = None) -> Outcome:
    """Build, or change to, what the file says, as one transaction; with nothing to change, nothing is written.

    Raises FileError with the host untouched; Refused, Unavailable, NotPermitted or Interrupted with all undone; Busy.
    """
    where = situation(path, lab=lab, project=project, netns=netns, changes=True)
    with at_work(where.project, where.host, where.lab) as kernel:
        made = where.plan(kernel)
        after = where.after(made)
        hand_over(where.returned, where.heirs)
        if made:
            preflight(kernel, made)
            apply(kernel, made, where.store, where.host, after)
        elif after != where.state:
            where.store.write(after)
        return _outcome(where, made)


def plan(
    path: str | None = None, *, lab: bool = False, project: str | None = None, netns: str | None = None
) -> Outcome:
    """What `up` would do. Nothing is changed; raises as `up` does."""
    where = situation(path, lab=lab, project=project, netns=netns)
    with Kernel() as kernel:
        see_settled(kernel, where)
        return _outcome(where, where.plan(kernel))


def _outcome(where: Situation, made: Plan) -> Outcome:
    return Outcome(where.project, made, tuple(where.site.warnings) if where.site else ())


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
    return settled
