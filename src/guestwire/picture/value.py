"""A value of the picture: one thing on a host, with its key, what of it is wanted, and what is merely seen.

A value's fields come in four sorts:

- a *setting* can be changed in place; None in a desired value means "as it is";
- a *fixed* field belongs to the thing from its making on: where it differs, the thing must be made anew;
- a *fact* is what was seen beside (an index, a carrier): it is never wanted, and two values are equal without it;
- what is *passing* (a lifetime, who set it) is a fact that goes along where the thing is made again.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, fields
from operator import attrgetter
from typing import Any, ClassVar, NamedTuple

__all__ = ["Key", "Value", "fact", "fixed", "passing", "setting"]


class Key(NamedTuple):
    """What a value is known by. `host` is "" for this one; `netns` is "" for the namespace guestwire runs in."""

    host: str
    netns: str
    kind: str
    name: str


def setting(default: Any = None) -> Any:
    """A field that can be changed in place."""
    return field(default=default, metadata={"sort": "setting"})


def fixed(default: Any = None) -> Any:
    """A field that only a new thing can have otherwise."""
    return field(default=default, metadata={"sort": "fixed"})


def fact(default: Any = None) -> Any:
    """A field that is seen and never wanted."""
    return field(default=default, metadata={"sort": "fact"}, compare=False)


def passing(default: Any = None) -> Any:
    """A fact that goes along where the thing is made again, and stands in journals for that."""
    return field(default=default, metadata={"sort": "passing"}, compare=False)


_FIELDS: dict[type, tuple[tuple[str, ...], tuple[str, ...], Callable[[Any], tuple[Any, ...]]]] = {}


def _compared(kind: type[Value]) -> tuple[tuple[str, ...], tuple[str, ...], Callable[[Any], tuple[Any, ...]]]:
    if kind in _FIELDS:
        return _FIELDS[kind]
    settings = tuple(f.name for f in fields(kind) if f.metadata.get("sort") == "setting")
    solid = tuple(f.name for f in fields(kind) if f.metadata.get("sort") == "fixed")
    names = (*solid, *settings, *(f.name for f in fields(kind) if f.compare and not f.metadata))
    return _FIELDS.setdefault(kind, (settings, solid, attrgetter(*names)))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Value:
    """One thing on a host. `owner` is the project whose mark it bears, or None.

    All kinds compare and show themselves as is said here: what Python writes for each class anew takes it 0.2 ms a
    class, in every command.
    """

    KIND: ClassVar[str] = ""

    netns: str = ""
    name: str
    owner: str | None = None

    def __eq__(self, other: object) -> bool:
        if type(self) is not type(other):
            return NotImplemented
        values = _compared(type(self))[2]
        return bool(values(self) == values(other))

    def __hash__(self) -> int:
        return hash(_compared(type(self))[2](self))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{f.name}={getattr(self, f.name)!r}' for f in fields(self))})"

    @property
    def key(self) -> Key:
        """What this value is known by in its picture."""
        return Key("", self.netns, self.KIND, self.name)

    def differs(self, seen: Value) -> dict[str, tuple[Any, Any]]:
        """Fields in which `seen` is not as wanted here: name → (as seen, as wanted). Empty where all is well."""
        settings, solid, values = _compared(type(self))
        wanted, have = values(self), values(seen)
        if wanted == have:
            return {}
        names = (*solid, *settings)
        return {
            name: (old, new)
            for name, old, new in zip(names, have, wanted, strict=False)
            if new is not None and old != new
        }

    def must_be_anew(self, seen: Value) -> bool:
        """Whether only a new thing can be what is wanted here."""
        if type(self) is not type(seen):
            return True
        differing = self.differs(seen)
        return bool(differing) and not differing.keys().isdisjoint(_compared(type(self))[1])
