"""What a verb that changes a host did, or would do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from guestwire.errors import Problem
from guestwire.plan import Plan

__all__ = ["Outcome"]


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
