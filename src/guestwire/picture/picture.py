"""A picture: values by key, with the scope that says what was read."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TypeVar

from guestwire.picture.value import Key, Value

__all__ = ["Picture"]

V = TypeVar("V", bound=Value)


class Picture:
    """A host's values by key. `scope` names the namespaces that were read; of others it says nothing, not "nothing"."""

    def __init__(self, values: Iterable[Value] = (), scope: Iterable[str] = ()) -> None:
        self.values: dict[Key, Value] = {value.key: value for value in values}
        self.scope = set(scope)

    def __iter__(self) -> Iterator[Value]:
        return iter(self.values.values())

    def __len__(self) -> int:
        return len(self.values)

    def __contains__(self, key: Key) -> bool:
        return key in self.values

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Picture) and self.values == other.values

    __hash__ = None  # type: ignore[assignment]  # it can be added to

    def get(self, key: Key) -> Value | None:
        """The value of that key, or None."""
        return self.values.get(key)

    def add(self, *values: Value) -> None:
        """Put values in, each in place of the one with its key."""
        for value in values:
            self.values[value.key] = value

    def remove(self, key: Key) -> None:
        """Take the value of that key out, where there is one."""
        self.values.pop(key, None)

    def of(self, kind: type[V], netns: str | None = None) -> list[V]:
        """The values of a kind, or of any kind derived from it, in one namespace or in all."""
        return [v for v in self.values.values() if isinstance(v, kind) and (netns is None or v.netns == netns)]

    def copy(self) -> Picture:
        """Another picture with the same values and scope."""
        return Picture(self.values.values(), self.scope)
