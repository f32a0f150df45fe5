"""The leases that a change asks for: waited for once, and told of where none has come."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from guestwire.api.situation import Situation
from guestwire.errors import Problem
from guestwire.kinds.dhcp import DhcpClient, without_lease
from guestwire.plan import Plan
from guestwire.signals import too_late

__all__ = ["PATIENCE", "Leases"]

PATIENCE = 10  # seconds that DHCP servers get to answer somebody
FEW = 5  # NICs that are named
UNANSWERED = "It goes on asking; `guestwire status` shows the address once there is one, or write `address`."


class Leases:
    """The DHCP clients of a project that `plan` starts, and those that it has already."""

    def __init__(self, where: Situation, plan: Plan) -> None:
        assert where.site is not None
        self._where, self._site = where, where.site
        self._clients = self._site.desired.picture.of(DhcpClient)
        begun = {step.key for step in plan.steps if step.action == "create"}
        self._begun = [client for client in self._clients if client.key in begun]
        self._others = [client for client in self._clients if client.key not in begun]

    def wait(self, late: bool = False) -> None:
        """Wait for the leases that were asked for just now; `late` for those that others have asked for in vain, too.

        What was waited for once isn't again.
        """
        begun, self._begun = self._begun, []
        without_lease(begun, PATIENCE)
        if late:
            others, self._others = self._others, []
            without_lease(others, PATIENCE)

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
