"""What was repaired, and what could not be: for people and programs that follow a watch."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from guestwire.kinds import Link
from guestwire.kinds.namespace import Namespace
from guestwire.kinds.veth import Veth
from guestwire.picture import Key
from guestwire.plan import Step

__all__ = ["Repair", "roots"]


@dataclass(frozen=True)
class Repair:
    """At `at` (seconds since 1970) it was seen that something is otherwise than wanted; `steps` are what was done.

    `causes` are those steps that weren't needed because of another one. `seconds` is from the first event on. With
    `trouble` nothing was done: that says why, and `wait` in how many seconds it is tried again, None where it is so
    once what stands in the way has gone.
    """

    project: str
    at: float
    seconds: float
    causes: tuple[Step, ...]
    steps: tuple[Step, ...]
    trouble: str | None = None
    wait: float | None = None

    def to_json(self) -> dict[str, Any]:
        """As JSON knows it."""
        return {
            "at": self.at,
            "milliseconds": round(self.seconds * 1000, 1),
            "causes": [_brief(step) for step in self.causes],
            "changes": [_brief(step) for step in self.steps],
            "trouble": self.trouble,
            "wait": self.wait,
        }


def _brief(step: Step) -> dict[str, Any]:
    return {"action": step.action, "kind": step.key.kind, "name": step.key.name, "netns": step.key.netns}


def roots(steps: Iterable[Step]) -> Iterator[Step]:
    """The steps that are there for their own sake: what they are about isn't on a link or namespace that another makes
    or changes."""
    steps = list(steps)
    links = {(step.value.netns, step.value.name) for step in steps if isinstance(step.value, Link)}
    spaces = {step.value.name for step in steps if isinstance(step.value, Namespace)}
    seen: set[Key] = set()
    for step in sorted(steps, key=lambda step: step.action == "delete"):  # of what goes first to come anew, the coming
        value = step.value
        below = set(value.on_links()) | set(value.uses())
        if isinstance(value, Veth) and not value.far:
            below -= set(value.on_links())  # each end is on the other, and the near one is made first
        if isinstance(value, Link) and value.master:
            below.add((value.netns, value.master))
        inside = set(value.namespaces()) & spaces
        if links.isdisjoint(below) and not inside and step.key not in seen:
            seen.add(step.key)
            yield step
