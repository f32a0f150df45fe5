"""A step of a plan: one value made, changed or deleted; it knows what was there before, which is its undo."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from guestwire.kinds import Link, Thing
from guestwire.kinds.address import AnyAddress
from guestwire.kinds.learnt import Learnt
from guestwire.kinds.namespace import Namespace
from guestwire.linux.kernel import Kernel
from guestwire.picture import Key

__all__ = ["REST", "Act", "Step"]

# The stages of a plan, in order.
REPLACE, MAKE, SET, RUN, DELETE, END, REST = range(7)
LINKS_MADE = (
    30  # kinds below this rank are made in stage MAKE, so that in stage SET each namespace can be seen to in one go
)
AWAY, DETACHED = 57, 59  # in stage SET: what moves to another link is there, then, and goes from where it was
PROCESSES = 60  # kinds from this rank on are started in stage RUN: all that they could talk to is set up then


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
            (step.value.let_go if step.moves else step.value.delete)(kernel)
        elif self.finish:
            step.value.finish(kernel)
        elif step.action == "create":
            if isinstance(step.value, Link):
                kernel.forget(step.value.netns, step.value.name)  # of one that was there until now
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
    """What is done to one key.

    `before` is the value that was there; `early` marks a deletion that makes room, `late` a change that has to wait
    until what was deleted is gone. `moves` marks what ends a move from link to link, right after it is made there: what
    is taken from the one that was, and a NIC that leaves its bridge.
    """

    action: Literal["create", "change", "delete"]
    value: Thing
    before: Thing | None = None
    early: bool = False
    late: bool = False
    moves: bool = False

    @property
    def key(self) -> Key:
        """The key of what it makes, changes or deletes."""
        return self.value.key

    def acts(self) -> list[Act]:
        """The calls it makes, each with its place in the order of the whole plan."""
        value = self.value
        if self.action == "delete":
            if self.moves:
                # The kernel takes temporary addresses away with the one that they were made from; and as long as an
                # address is there what is sent may leave by that link, and must know whom to send it to.
                sooner = isinstance(value, AnyAddress) and value.temporary
                return [Act((SET, value.netns, AWAY - sooner + isinstance(value, Learnt)), self)]
            ends = isinstance(value, Namespace)
            stage = REPLACE if self.early else END if ends else DELETE
            return [Act((stage, -value.RANK, value.netns), self)]
        rank = value.rank()
        if self.action == "change":
            assert self.before is not None
            rank = DETACHED if self.moves else value.change_rank(self.before)
        if self.late:
            return [Act((REST, rank, value.netns), self)]
        first = Act(self._place(rank), self)
        if self.action == "create" and type(value).finish is not Thing.finish:
            return [first, Act((SET, value.netns, rank), self, finish=True)]
        return [first]

    def _place(self, rank: int) -> tuple[int, int | str, int | str]:
        if rank < LINKS_MADE:
            return (MAKE, rank, self.value.netns)
        return (SET, self.value.netns, rank) if rank < PROCESSES else (RUN, rank, self.value.netns)

    def commands(self) -> list[tuple[tuple[int, int | str, int | str], list[str]]]:
        """The shell commands that do the same, in parts, each with its act's place."""
        return [(act.order, act.commands()) for act in self.acts()]

    def describe(self) -> str:
        """The step in words: "create bridge br0 in namespace lab-host"."""
        where = f" in namespace {self.value.netns}" if self.value.netns not in ("", self.value.name) else ""
        return f"{self.action} {self.value.KIND} {self.value.name}{where}"
