"""up and plan: what makes a host as its file says, or says how it would."""

from __future__ import annotations

from guestwire.api.loans import hand_over
from guestwire.api.outcome import Outcome
from guestwire.api.situation import Situation, see_settled, situation
from guestwire.api.work import at_work
from guestwire.apply import apply, preflight
from guestwire.linux.kernel import Kernel
from guestwire.plan import Plan

__all__ = ["plan", "up"]


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
