"""A picture that knows what hangs on what, and so which part of it a change concerns.

An address hangs on its link, a port on its bridge, a macvlan on its parent, all in a namespace on that. Where one is
gone, what hangs on it is gone or idle too: that is how effects are known from their cause.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import TypeVar

from guestwire.kinds import Link, Thing
from guestwire.kinds.address import AnyAddress
from guestwire.kinds.attachment import Attachment
from guestwire.kinds.namespace import Namespace
from guestwire.picture import Desired, Key, Picture, Value

__all__ = ["Web", "concerned", "part"]

V = TypeVar("V", bound=Value)
Place = tuple[str, str]


class Web(Picture):
    """A picture with its values by namespace, and by the links that they hang on."""

    def __init__(self, values: Iterable[Value] = (), scope: Iterable[str] = ()) -> None:
        self._inside: dict[str, dict[Key, Value]] = defaultdict(dict)
        self._hanging: dict[Place, set[Key]] = defaultdict(set)
        self._links: dict[Place, Key] = {}
        super().__init__((), scope)
        self.add(*values)

    def add(self, *values: Value) -> None:
        for value in values:
            if value.key in self.values:
                self.remove(value.key)
            self.values[value.key] = value
            self._inside[value.netns][value.key] = value
            for place in _needs(value):
                self._hanging[place].add(value.key)
            if isinstance(value, Link):
                self._links[value.netns, value.name] = value.key

    def remove(self, key: Key) -> None:
        value = self.values.pop(key, None)
        if value is None:
            return
        _take(self._inside, value.netns, key)
        for place in _needs(value):
            if place in self._hanging:
                self._hanging[place].discard(key)
                if not self._hanging[place]:
                    del self._hanging[place]
        if isinstance(value, Link) and self._links.get((value.netns, value.name)) == key:
            del self._links[value.netns, value.name]

    def of(self, kind: type[V], netns: str | None = None) -> list[V]:
        if netns is None:
            return super().of(kind)
        return [value for value in self._inside.get(netns, {}).values() if isinstance(value, kind)]

    def link(self, place: Place) -> Link | None:
        """The link of that namespace and name, whatever its kind."""
        key = self._links.get(place)
        found = self.values.get(key) if key is not None else None
        return found if isinstance(found, Link) else None

    def addresses(self, place: Place) -> frozenset[Key]:
        """The keys of the addresses on a link."""
        return frozenset(key for key in self.hanging(place) if isinstance(self.values[key], AnyAddress))

    def inside(self, netns: str) -> list[Key]:
        """The keys of what is in a namespace."""
        return list(self._inside.get(netns, ()))

    def hanging(self, place: Place) -> list[Key]:
        """The keys of what is on a link, works on it, or has it for its master."""
        return list(self._hanging.get(place, ()))


def _take(inside: dict[str, dict[Key, Value]], netns: str, key: Key) -> None:
    inside[netns].pop(key, None)
    if not inside[netns]:
        del inside[netns]


def _needs(value: Value) -> set[Place]:
    """The links without which a value is gone or idle."""
    if not isinstance(value, Thing):
        return set()
    found = {*value.on_links(), *value.uses()}
    if isinstance(value, Link) and value.master:
        found.add((value.netns, value.master))
    return found


def concerned(seen: Web, wanted: Web, keys: Iterable[Key]) -> set[Key]:
    """Some keys, and all whose way to what is wanted leads over theirs: what hangs on a link or namespace that is to be
    made or goes, and what such a one itself hangs on, where that is missing."""
    found: set[Key] = set()
    stack = list(keys)
    while stack:
        key = stack.pop()
        if key in found:
            continue
        found.add(key)
        want, have = wanted.get(key), seen.get(key)
        value = want or have
        if isinstance(value, Link):
            stack += _around(seen, wanted, value)
        elif isinstance(value, Namespace | Attachment) and (want is None or have is None):
            stack += [*seen.inside(value.name), *wanted.inside(value.name)]
        for value in (want, have):
            if isinstance(value, Thing):
                stack += value.carries()
        if isinstance(want, Thing):
            stack += _missing_below(seen, wanted, want)
    return found


def _around(seen: Web, wanted: Web, link: Link) -> Iterator[Key]:
    """What else a link's being otherwise concerns."""
    place = (link.netns, link.name)
    want, have = wanted.link(place), seen.link(place)
    yield from (each.key for each in (want, have) if each is not None)
    if want is None or have is None or want.must_be_anew(have):
        yield from (*seen.hanging(place), *wanted.hanging(place))


def _missing_below(seen: Web, wanted: Web, want: Thing) -> Iterator[Key]:
    """What is wanted of that on which a wanted thing hangs, as far as it isn't there."""
    for place in _needs(want):
        if seen.link(place) is None and (below := wanted.link(place)) is not None:
            yield below.key
    for netns in want.namespaces():
        for kind in (Namespace, Attachment):
            key = Key("", netns, kind.KIND, netns)
            if key in wanted and key not in seen:
                yield key


def part(seen: Web, desired: Desired, keys: set[Key]) -> tuple[Picture, Desired]:
    """Of both pictures what has those keys."""
    values = (desired.picture.get(key) for key in keys)
    wanted = Desired(Picture(value for value in values if value is not None))
    wanted.absent, wanted.borrowed = desired.absent & keys, desired.borrowed & keys
    return Picture((value for key in keys if (value := seen.get(key)) is not None), seen.scope), wanted
