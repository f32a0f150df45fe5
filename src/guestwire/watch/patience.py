"""Who repairs what somebody else keeps undoing fights: how long to let a thing be before it is tried again."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from time import monotonic

from guestwire.picture import Key

__all__ = ["Patience"]

SOON = 5.0  # seconds: what is undone again within them, somebody keeps undoing
AT_ONCE = 3  # times that it is repaired at once all the same
RETRY = 0.05  # seconds after which what was refused once is tried again: most likely it was being changed just then
LONGEST = 60.0


@dataclass
class _Tried:
    times: int = 0
    failures: int = 0
    until: float = 0.0


class Patience:
    """Counts for each key how often it was repaired, or could not be, in a row."""

    def __init__(self) -> None:
        self._tried: dict[Key, _Tried] = {}

    def repaired(self, keys: Iterable[Key]) -> float:
        """Note a repair; for how many seconds these are let be now, should they be undone: 0 for not at all."""
        return max((self._count(key, failed=False) for key in keys), default=0.0)

    def failed(self, keys: Iterable[Key]) -> float:
        """Note that these could not be repaired; in how many seconds they are tried again."""
        return max((self._count(key, failed=True) for key in keys), default=0.0)

    def _count(self, key: Key, *, failed: bool) -> float:
        now = monotonic()
        tried = self._tried.setdefault(key, _Tried())
        if now > tried.until + SOON:
            tried.times = tried.failures = 0
        if failed:
            tried.failures += 1
            wait = RETRY if tried.failures == 1 else min(2.0 ** (tried.failures - 2), LONGEST)
        else:
            tried.times, tried.failures = tried.times + 1, 0
            wait = 0.0 if tried.times < AT_ONCE else min(2.0 ** (tried.times - AT_ONCE), LONGEST)
        tried.until = now + wait
        return wait

    def changed(self, keys: Iterable[Key]) -> None:
        """Try at once what could not be repaired and is otherwise now."""
        for key in keys:
            tried = self._tried.get(key)
            if tried is not None and tried.failures:
                tried.until = 0.0

    def held(self) -> set[Key]:
        """The keys that are let be for now; those that have kept still long enough are forgotten."""
        now = monotonic()
        for key in [key for key, tried in self._tried.items() if now > tried.until + SOON]:
            del self._tried[key]
        return {key for key, tried in self._tried.items() if now < tried.until}

    def next(self) -> float | None:
        """In how many seconds the next of them may be tried, None where none is held."""
        now = monotonic()
        return min((tried.until - now for tried in self._tried.values() if now < tried.until), default=None)
