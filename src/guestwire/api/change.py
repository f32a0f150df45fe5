"""up and plan: what makes a host as its file says, or says how it would."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from guestwire.api.acceptance import Trial, guard_of
from guestwire.api.bystanders import cut_off
from guestwire.api.containers import see_running
from guestwire.api.foreseen import NOTHING, Foreseen
from guestwire.api.leases import Leases
from guestwire.api.loans import hand_over
from guestwire.api.outcome import Outcome
from guestwire.api.situation import Situation, see_settled, situation
from guestwire.api.work import at_work
from guestwire.apply import Confirm, apply, preflight
from guestwire.errors import Problem
from guestwire.linux.kernel import Kernel
from guestwire.plan import Plan
from guestwire.spec import Expectation

if TYPE_CHECKING:
    from guestwire.api.timer import Waiting
    from guestwire.reach import Expected

__all__ = ["plan", "up"]


def up(
    path: str | None = None,
    *,
    lab: bool = False,
    project: str | None = None,
    netns: str | None = None,
    confirm: int | None = None,
    keep: bool = False,
    guard: bool = True,
    rehearsed: bool = False,
    tell: Callable[[str], None] = lambda doing: None,
    foreseen: Foreseen = NOTHING,
) -> Outcome:
    """Build, or change to, what the file says, as one transaction; with nothing to change, nothing is written.

    With `guard` the change is taken back where the host doesn't reach a gateway, a DNS server or our ssh client that it
    reached before; unless `keep`, where an expectation of the file fails. With `confirm` it waits so many seconds for
    `confirm`, and a process of its own takes it back then. `tell` is told what goes on once all is built. What was
    `foreseen` (`ahead`) is used where it fits. What is `rehearsed` leaves containers out, and names none of
    these options.

    Raises FileError with the host untouched; Rejected, Refused, Unavailable, NotPermitted or Interrupted with all
    undone; Busy.
    """
    where = situation(path, lab=lab, project=project, netns=netns, changes=True)
    with at_work(where.project, where.host, where.lab, foreseen=foreseen) as kernel:
        made = where.plan(kernel)
        if not rehearsed:
            where.see_all_there()
        after = where.after(made)
        hand_over(where.returned, where.heirs)
        warnings = _warnings(kernel, where, made)
        leases = Leases(where, made)
        waiting = _waiting(where.project, confirm) if made and confirm else None
        trial = _trial(kernel, where, made, leases, guard=guard)
        trial.keep, trial.anyway, trial.tell = keep, not rehearsed, tell
        if made:
            preflight(kernel, made)
            trial.begin(anew=where.state is None)
            asks = Confirm(waiting.seconds, waiting.begin) if waiting else None
            apply(kernel, made, where.store, where.host, after, partial(_judge, where, trial), asks)
        elif after != where.state:
            where.store.write(after)
    said = (*waiting.warnings, *leases.missing()) if waiting else tuple(leases.missing())
    return Outcome(where.project, made, (*warnings, *said), acceptance=trial.result, confirm=waiting)


def _judge(where: Situation, trial: Trial) -> None:
    assert where.site is not None
    see_running(where.site.desired.picture)
    trial.judge()


def _waiting(project: str, seconds: int) -> Waiting:
    """Who takes the change back; what starts that is loaded only for this."""
    from guestwire.api.timer import Waiting

    return Waiting(project, seconds)


def _trial(kernel: Kernel, where: Situation, made: Plan, leases: Leases, *, guard: bool) -> Trial:
    """What the change is judged by: the guard of the host, and what the file expects."""

    def measure(expectations: list[Expectation], timeout: float) -> dict[str, Expected]:
        from guestwire.api.measure import expected

        return expected(kernel, where, {each.text for each in expectations}, timeout)

    def settled(late: bool) -> None:
        leases.wait(late)
        where.look(kernel)
        if late:
            from guestwire.reach import forwarding, settle

            assert where.seen is not None
            forwarding(kernel, where.seen.scope)
            settle(kernel, where.seen.scope)

    guarded = None
    if guard and made:
        assert where.site is not None
        assert where.seen is not None
        guarded = guard_of(kernel, made, where.seen, where.host, where.site.base if where.lab else None)
    trial = Trial(guarded, list(where.file.expect), measure=measure, settled=settled)
    if where.file.expect and made:
        from guestwire.api.measure import of_programs

        trial.programs = of_programs(where.file)
    return trial


def plan(
    path: str | None = None, *, lab: bool = False, project: str | None = None, netns: str | None = None
) -> Outcome:
    """What `up` would do. Nothing is changed; raises as `up` does."""
    where = situation(path, lab=lab, project=project, netns=netns)
    with Kernel() as kernel:
        see_settled(kernel, where)
        made = where.plan(kernel)
        where.see_all_there()
        return Outcome(where.project, made, _warnings(kernel, where, made))


def _warnings(kernel: Kernel, where: Situation, made: Plan) -> tuple[Problem, ...]:
    """What may surprise, before it is done."""
    assert where.site is not None
    assert where.seen is not None
    losses = [where.site.problem(key, loss) for key, loss in made.losses()]
    return (*where.site.warnings, *losses, *cut_off(kernel, made, where.seen))
