"""What a verb that changes a host did, or would do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from guestwire.errors import Problem
from guestwire.plan import Plan

if TYPE_CHECKING:  # what doesn't judge need not load what measures
    from guestwire.api.acceptance import Acceptance
    from guestwire.api.timer import Waiting

__all__ = ["Outcome"]


@dataclass(frozen=True)
class Outcome:
    """What a verb did or would do: the plan, and what may surprise.

    Of `up` and `down` also what the change was judged by, and whether it waits to be confirmed.
    """

    project: str
    plan: Plan
    warnings: tuple[Problem, ...] = ()
    acceptance: Acceptance | None = None
    confirm: Waiting | None = None

    def to_json(self) -> dict[str, Any]:
        """The document of cli.md for plan."""
        changes = [
            {
                "action": step.action,
                "kind": step.key.kind,
                "name": step.key.name,
                "netns": step.key.netns,
                "command": "\n".join(self.plan.commands_of(step)),
            }
            for step in self.plan.steps
        ]
        return {"changes": changes, "warnings": [str(warning) for warning in self.warnings], **self.judgement()}

    def judgement(self) -> dict[str, Any]:
        """The part of it that tells what the change was judged by; nothing where it wasn't."""
        if self.acceptance is None:
            return {}
        return {**self.acceptance.to_json(), "confirm": self.confirm.to_json() if self.confirm else None}
