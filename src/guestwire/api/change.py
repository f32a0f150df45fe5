"""up and plan: what makes a host as its file says, or says how it would."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from guestwire.api.loans import hand_over
from guestwire.api.outcome import Outcome
from guestwire.api.situation import Situation, see_settled, situation
from guestwire.api.work import at_work
from guestwire.apply import apply, preflight
from guestwire.errors import Problem
from guestwire.kinds.dhcp import DhcpClient, without_lease
from guestwire.linux.kernel import Kernel
from guestwire.plan import Plan
from guestwire.signals import too_late

PATIENCE = 10  # seconds that DHCP servers get to answer somebody
FEW = 5  # NICs that are named
UNANSWERED = "It goes on asking; `guestwire status` shows the address once there is one, or write `address`."

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
    outcome = _outcome(where, made)
    return replace(outcome, warnings=(*outcome.warnings, *_unanswered(where, made)))


def _unanswered(where: Situation, made: Plan) -> Iterator[Problem]:
    """Wait for the leases that were asked for just now; what to say of NICs that have none.

    A signal ends the waiting: all is built by then, and the clients go on asking.
    """
    assert where.site is not None
    clients = where.site.desired.picture.of(DhcpClient)
    begun = {step.key for step in made.steps if step.action == "create"}
    try:
        too_late(False)
        without_lease((client for client in clients if client.key in begun), PATIENCE)
    except KeyboardInterrupt:
        pass
    finally:
        too_late()
    silent: dict[Problem, list[str]] = {}
    for client in without_lease(clients, 0):
        problem = where.site.problem(client.key, "no DHCP server has answered", UNANSWERED)
        silent.setdefault(problem, []).append(f"{client.link} of {client.netns.removeprefix(f'{where.project}-')}")
    for problem, nics in silent.items():
        which = ", ".join(nics[:FEW]) + (f" and {len(nics) - FEW} more" if len(nics) > FEW else "")
        yield replace(problem, message=f"{problem.message} {which}.")


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
