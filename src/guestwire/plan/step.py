"""A step of a plan: one value made, changed or deleted; it knows what was there before, which is its undo."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from guestwire.kinds import Link, Thing
from guestwire.kinds.address import AnyAddress
from guestwire.kinds.learnt import Learnt
from guestwire.linux.kernel import Kernel
from guestwire.picture import Key

__all__ = ["REST", "Act", "Step"]

# The stages of a plan, in order.
REPLACE, MAKE, SET, RUN, DELETE, END, REST = range(7)
LINKS_MADE = (
    30  # kinds below this rank are made in stage MAKE, so that in stage SET each namespace can be seen to in one go
)
AWAY, DETACHED = 57, 59  # in stage SET: what moves to another link is there, then, and goes from where it was
ANNOUNCED = FINISHED = 99  # before what is ended, and after what is started, in the same stage
PROCESSES = 60  # kinds from this rank on are started in stage RUN: all that they could talk to is set up then


@dataclass(frozen=True, slots=True)
class Act:
    """One call that a step makes: the step's first, or the one that finishes it in its own namespace."""

    order: tuple[int, int | str, int | str]
    step: Step
    part: Literal["", "finish", "announce"] = ""

    @property
    def makes_room(self) -> bool:
        """Whether it is among the first, which take away what is in the way of others."""
        return self.order[0] == REPLACE

    @property
    def final(self) -> bool:
        """Whether what it does can't be undone, nor what comes after it."""
        return self.order[0] == END

    def do(self, kernel: Kernel) -> None:
        """Queue or do it; the kernel's refusals show in `Kernel.refused`, others are raised (OSError)."""
        kernel.token = self.step
        step = self.step
        seen = step.value if step.action == "delete" else step.before
        if isinstance(seen, Link) and seen.index:
            kernel.learn(seen.netns, {seen.name: seen.index})  # that one is meant, not whatever is called so by now
        if self.part == "announce":
            step.value.announce(kernel)
        elif step.action == "delete":
            (step.value.let_go if step.moves else step.value.delete)(kernel)
        elif self.part == "finish":
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
            return step.value.delete_commands() if not self.part else []
        if self.part == "finish":
            return step.value.finish_commands()
        if step.action == "create":
            return step.value.create_commands()
        assert step.before is not None
        return step.value.change_commands(step.before)


@dataclass(frozen=True, slots=True)
class Step:
    """What is done to one key.

    `before` is the value that was there; `early` marks a deletion that makes room, `late` what has to wait until what
    was deleted is gone; `final` a deletion that waits for one that can't be undone. `moves` marks what ends a move from
    link to link, right after it is made there: what is taken from the one that was, and a NIC that leaves its bridge.
    """

    action: Literal["create", "change", "delete"]
    value: Thing
    before: Thing | None = None
    early: bool = False
    late: bool = False
    moves: bool = False
    final: bool = False

    @property
    def key(self) -> Key:
        """The key of what it makes, changes or deletes."""
        return self.value.key

    @property
    def makes(self) -> bool:
        """Whether it makes a thing, or makes one into what has to be tried by itself, as a new one has."""
        changed = self.before if self.action == "change" else None
        return self.action == "create" or (changed is not None and changed.trial_name() != self.value.trial_name())

    def acts(self) -> list[Act]:
        """The calls it makes, each with its place in the order of the whole plan."""
        value = self.value
        if self.action == "delete":
            if self.moves:
                # The kernel takes temporary addresses away with the one that they were made from; and as long as an
                # address is there what is sent may leave by that link, and must know whom to send it to.
                sooner = isinstance(value, AnyAddress) and value.temporary
                return [Act((SET, value.netns, AWAY - sooner + isinstance(value, Learnt)), self)]
            stage = END if value.final or self.final else REPLACE if self.early else DELETE
            last = Act((stage, -value.RANK, value.netns), self)
            if type(value).announce is Thing.announce:
                return [last]
            return [Act((stage, -ANNOUNCED, value.netns), self, "announce"), last]
        rank = value.rank()
        if self.action == "change":
            assert self.before is not None
            rank = DETACHED if self.moves else value.change_rank(self.before)
        first = Act((REST, rank, value.netns) if self.late else self._place(rank), self)
        if self.action == "create" and type(value).finish is not Thing.finish:
            return [first, Act(self._finished(rank), self, "finish")]
        return [first]

    def _finished(self, rank: int) -> tuple[int, int | str, int | str]:
        if rank < PROCESSES:
            return (SET, self.value.netns, rank)
        return (REST if self.late else RUN, FINISHED, self.value.netns)

    def _place(self, rank: int) -> tuple[int, int | str, int | str]:
        if rank < LINKS_MADE:
            return (MAKE, rank, self.value.netns)
        return (SET, self.value.netns, rank) if rank < PROCESSES else (RUN, rank, self.value.netns)

    def describe(self) -> str:
        """The step in words: "create bridge br0 in namespace lab-host"."""
        where = f" in namespace {self.value.netns}" if self.value.netns not in ("", self.value.name) else ""
        return f"{self.action} {self.value.title()}{where}"
