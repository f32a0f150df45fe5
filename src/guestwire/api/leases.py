"""The leases that a change asks for: waited for once, and told of where none has come."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from guestwire.api.situation import Situation
from guestwire.errors import Problem
from guestwire.kinds.dhcp import DhcpClient, without_lease
from guestwire.plan import Plan
from guestwire.signals import too_late

__all__ = ["Leases"]

PATIENCE = 10  # seconds that DHCP servers get to answer somebody
FEW = 5  # NICs that are named
UNANSWERED = "It goes on asking; `guestwire status` shows the address once there is one, or write `address`."


class Leases:
    """The DHCP clients of a project that `plan` starts, and those that it has already."""

    def __init__(self, where: Situation, plan: Plan) -> None:
        assert where.site is not None
        self._where, self._site = where, where.site
        self._clients = self._site.desired.picture.of(DhcpClient)
        self._begun = {step.key for step in plan.steps if step.action == "create"}

    def wait(self) -> None:
        """Wait for the leases that were asked for just now, unless that was done before."""
        begun, self._begun = self._begun, set()
        without_lease((client for client in self._clients if client.key in begun), PATIENCE)

    def missing(self) -> Iterator[Problem]:
        """What to say of NICs that have none, once they were waited for.

        A signal ends the waiting: all is built by then, and the clients go on asking.
        """
        try:
            too_late(False)
            self.wait()
        except KeyboardInterrupt:
            pass
        finally:
            too_late()
        silent: dict[Problem, list[str]] = {}
        for client in without_lease(self._clients, 0):
            problem = self._site.problem(client.key, "no DHCP server has answered", UNANSWERED)
            where = client.netns.removeprefix(f"{self._where.project}-")
            silent.setdefault(problem, []).append(f"{client.link} of {where}")
        for problem, nics in silent.items():
            which = ", ".join(nics[:FEW]) + (f" and {len(nics) - FEW} more" if len(nics) > FEW else "")
            yield replace(problem, message=f"{problem.message} {which}.")
