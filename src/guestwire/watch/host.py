"""What a watch asks of the verbs: what is wanted, what is there, and the host for a change."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

from guestwire.apply import State, Store
from guestwire.errors import Problem
from guestwire.linux.kernel import Kernel
from guestwire.picture import Desired, Key, Picture
from guestwire.plan import Plan
from guestwire.watch.web import Web

__all__ = ["Host", "Wanted"]


@dataclass
class Wanted:
    """What shall be; `done` was needed for it to be so. `state` is the project's, `problem` says where in the file a
    wanted key comes from."""

    done: Plan
    picture: Web
    desired: Desired
    state: State
    awaits: bool
    """Whether something that the file names isn't there yet: a container that doesn't run."""
    given: Mapping[tuple[str, str], frozenset[Key]]
    """The addresses by which it was made of links (namespace, name) that aren't ours."""
    users: tuple[int, ...]
    """The processes that are guests for as long as they run."""
    problem: Callable[[Key, str, str], Problem]

    def is_outdated(self, seen: Web) -> bool:
        """Whether those links have other addresses by now."""
        return any(seen.addresses(place) != keys for place, keys in self.given.items())


class Host(Protocol):
    """A project on its host, as the verbs know it."""

    project: str
    netns: str
    store: Store

    def catch_up(self) -> Wanted | None:
        """Have the project be as its file says now, and say what that is; None where it isn't up.

        Raises Busy where another is at work, and what `up` raises.
        """

    def has_come(self) -> bool:
        """Whether something is there by now of what wasn't, when it was last caught up."""

    def look(self, wanted: Wanted) -> Picture:
        """All there is of the project."""

    def claim(self, seen: Picture, wanted: Wanted) -> None:
        """Have what can't bear a mark, and the project's state says to be its own, count as its own."""

    def at_work(self) -> AbstractContextManager[Kernel]:
        """A kernel, with the host locked and no journal unsettled; raises Busy else."""

    def namespaces(self) -> list[str]:
        """The names of the project's namespaces that there are, and the host's."""
