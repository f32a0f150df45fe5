"""Who repairs what somebody else keeps undoing fights: how long to let a thing be before it is tried again."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from time import monotonic

from guestwire.picture import Key
from guestwire.plan import Step

__all__ = ["Patience"]

SOON = 2.0  # seconds: what is undone again within them, somebody keeps undoing
AT_ONCE = 3  # times that it is repaired at once all the same
RETRY = 0.05  # seconds after which what was refused once is tried again: most likely it was being changed just then
LONGEST = 60.0
REFUSED = "refused"


@dataclass
class _Tried:
    times: int = 0
    until: float = 0.0


class Patience:
    """Counts how often the same was repaired, or could not be, in a row.

    The same is a key and what was otherwise about it: who tries this and that undoes nothing.
    """

    def __init__(self) -> None:
        self._tried: dict[tuple[Key, str], _Tried] = {}

    def repaired(self, steps: Iterable[Step]) -> float:
        """Note a repair; for how many seconds these are let be now, should they be undone: 0 for not at all."""
        return max((self._count((step.key, _what(step)), failed=False) for step in steps), default=0.0)

    def failed(self, keys: Iterable[Key]) -> float:
        """Note that these could not be repaired; in how many seconds they are tried again."""
        return max((self._count((key, REFUSED), failed=True) for key in keys), default=0.0)

    def _count(self, what: tuple[Key, str], *, failed: bool) -> float:
        now = monotonic()
        tried = self._tried.setdefault(what, _Tried())
        if now > tried.until + SOON:
            tried.times = 0
        tried.times += 1
        doubled = tried.times - (2 if failed else AT_ONCE)
        wait = min(2.0**doubled, LONGEST) if doubled >= 0 else RETRY if failed else 0.0
        tried.until = now + wait
        return wait

    def changed(self, keys: Iterable[Key]) -> None:
        """Try at once what could not be repaired and is otherwise now."""
        for key in keys:
            if (key, REFUSED) in self._tried:
                self._tried[key, REFUSED].until = 0.0

    def held(self) -> set[Key]:
        """The keys that are let be for now; those that have kept still long enough are forgotten."""
        now = monotonic()
        for what in [what for what, tried in self._tried.items() if now > tried.until + SOON]:
            del self._tried[what]
        return {key for (key, _), tried in self._tried.items() if now < tried.until}

    def next(self) -> float | None:
        """In how many seconds the next of them may be tried, None where none is held."""
        now = monotonic()
        return min((tried.until - now for tried in self._tried.values() if now < tried.until), default=None)


def _what(step: Step) -> str:
    if step.action != "change" or step.before is None:
        return step.action
    return " ".join(sorted(step.value.differs(step.before)))
