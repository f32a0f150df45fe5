"""A step of a plan: one value made, changed or deleted; it knows what was there before, which is its undo."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from guestwire.kinds import Thing
from guestwire.kinds.namespace import Namespace
from guestwire.linux.kernel import Kernel
from guestwire.picture import Key

__all__ = ["Act", "Step"]

# The stages of a plan, in order.
REPLACE, MAKE, SET, START, DELETE, END = range(6)
LINKS_MADE = (
    30  # kinds below this rank are made in stage MAKE, so that in stage SET each namespace can be seen to in one go
)
ALL_SET = 60  # and those from this one on in stage START: a daemon finds everything as it shall be


@dataclass(frozen=True, slots=True)
class Act:
    """One call that a step makes: the step's first, or the one that finishes it in its own namespace."""

    order: tuple[int, int | str, int | str]
    step: Step
    finish: bool = False

    def do(self, kernel: Kernel) -> None:
        """Queue or do it; the kernel's refusals show in `Kernel.refused`, others are raised (OSError)."""
        kernel.token = self.step
        step = self.step
        if step.action == "delete":
            step.value.delete(kernel)
        elif self.finish:
            step.value.finish(kernel)
        elif step.action == "create":
            step.value.create(kernel)
        else:
            assert step.before is not None
            step.value.change(kernel, step.before)

    def commands(self) -> list[str]:
        """The shell commands that do the same."""
        step = self.step
        if step.action == "delete":
            return step.value.delete_commands()
        if self.finish:
            return step.value.finish_commands()
        if step.action == "create":
            return step.value.create_commands()
        assert step.before is not None
        return step.value.change_commands(step.before)


@dataclass(frozen=True, slots=True)
class Step:
    """What is done to one key. `before` is the value that was there; `early` marks a deletion that makes room."""

    action: Literal["create", "change", "delete"]
    value: Thing
    before: Thing | None = None
    early: bool = False

    @property
    def key(self) -> Key:
        """The key of what it makes, changes or deletes."""
        return self.value.key

    def acts(self) -> list[Act]:
        """The calls it makes, each with its place in the order of the whole plan."""
        value = self.value
        if self.action == "delete":
            ends = isinstance(value, Namespace)
            stage = REPLACE if self.early else END if ends else DELETE
            return [Act((stage, -value.RANK, value.netns), self)]
        rank = value.rank()
        if self.action == "change":
            assert self.before is not None
            rank = value.change_rank(self.before)
        order = (MAKE, rank, value.netns) if rank < LINKS_MADE else (SET, value.netns, rank)
        first = Act(order if rank < ALL_SET else (START, rank, value.netns), self)
        if self.action == "create" and type(value).finish is not Thing.finish:
            return [first, Act((SET, value.netns, rank), self, finish=True)]
        return [first]

    def commands(self) -> list[tuple[tuple[int, int | str, int | str], list[str]]]:
        """The shell commands that do the same, in parts, each with its act's place."""
        return [(act.order, act.commands()) for act in self.acts()]

    def describe(self) -> str:
        """The step in words: "create bridge br0 in namespace lab-host"."""
        where = f" in namespace {self.value.netns}" if self.value.netns and self.value.KIND != Namespace.KIND else ""
        return f"{self.action} {self.value.KIND} {self.value.name}{where}"
