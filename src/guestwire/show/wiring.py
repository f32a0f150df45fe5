"""Which links of a picture are joined, by what, and at which of them a chain begins: the end farthest from the guests.

Nothing in the kernel says "this is the uplink". What speaks for it, in this order: it is hardware; others' default
routes lead there; it bears a NIC's name and is a port or parent; it is what others are plugged into.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterable, Iterator
from enum import Enum
from functools import cache

from guestwire.kinds.address import Address
from guestwire.kinds.cable import Cable
from guestwire.kinds.child import Child
from guestwire.kinds.link import Link
from guestwire.kinds.nic import Nic
from guestwire.kinds.route import Route
from guestwire.kinds.veth import Veth
from guestwire.picture import Picture

__all__ = ["UNREAD", "Edge", "Place", "Wiring", "natural"]

Place = tuple[str, str]
"""A link's namespace and name."""

UNREAD = "?"  # as observe() says it of a link that lies in none of the namespaces that were read
NIC_NAME = re.compile(r"eth\d+|en[opsx]\w+|em\d+|wl\w+|wan\d*|ib\d+|bond\d+")
HARDWARE, UPLINK, MASTER, OTHER, PORT, NOT_READ = range(6)


class Edge(Enum):
    """What joins two links."""

    PORT = "port of a bridge"
    CABLE = "veth cable"
    HELD = "cable between descriptors that guestwire holds"
    PARENT = "shares its parent's cable"
    DESCRIPTOR = "descriptor"
    ROUTED = "routed"


@cache
def natural(text: str) -> tuple[tuple[int, str], ...]:
    """A key that sorts g-2 before g-10."""
    return tuple((int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"(\d+)", text) if part)


def _order(place: Place) -> tuple[object, ...]:
    return natural(place[0]), natural(place[1]), place


class Wiring:
    """The links of a picture and what joins them; a place without a link is one that wasn't read."""

    def __init__(self, picture: Picture) -> None:
        self.links: dict[Place, Link] = {
            (value.netns, value.name): value for value in picture if isinstance(value, Link)
        }
        self.joined: dict[Place, dict[Place, Edge]] = {place: {} for place in self.links}
        self._above: dict[str, str] = {}
        self._serving: set[str] = set()
        self._defaults: set[Place] = set()
        for place, link in self.links.items():
            self._join_link(place, link)
        for cable in picture.of(Cable):
            if cable.end is not None:
                self._join((cable.netns, cable.name), cable.end[:2], Edge.HELD)
        self._join_routed(picture)

    def _join(self, one: Place, other: Place, edge: Edge) -> None:
        if one != other:
            self.joined.setdefault(one, {}).setdefault(other, edge)
            self.joined.setdefault(other, {}).setdefault(one, edge)

    def _join_link(self, place: Place, link: Link) -> None:
        if link.master:
            self._join(place, (link.netns, link.master), Edge.PORT)
        if isinstance(link, Veth) and link.peer:
            self._join(place, self._beyond(place, link.peer), Edge.CABLE)
        elif isinstance(link, Child) and link.parent:
            self._join(place, self._beyond(place, link.parent), Edge.PARENT)

    @staticmethod
    def _beyond(place: Place, other: Place) -> Place:
        # Two links that were not read may have one number in two namespaces: each is kept apart, by who tells of it.
        return other if other[0] != UNREAD else (UNREAD, "/".join(place))

    def _join_routed(self, picture: Picture) -> None:
        """Join a namespace's way out with its links that others use as their gateway."""
        segment = {place: number for number, places in enumerate(self.components()) for place in places}
        ways_out: dict[str, Place] = {}
        inside: dict[str, list[Place]] = {}  # by namespace: its links that are somebody's way out
        outside: dict[
            str, list[tuple[Place, str]]
        ] = {}  # those through which others reach only some addresses, and who
        for route, place, gateway in self._hops(picture, segment):
            if route.is_default:
                ways_out.setdefault(route.netns, place)
                self._defaults.add(place)
                if gateway is not None:
                    inside.setdefault(gateway[0], []).append(gateway)
                    self._put_above(route.netns, gateway[0])
            elif gateway is not None:
                outside.setdefault(gateway[0], []).append((gateway, route.netns))
        for netns, users in outside.items():
            if netns not in ways_out:
                # A gateway without a default route, as at the internet: out is where others know a way back in.
                for place, user in users:
                    if place not in inside.get(netns, ()):
                        ways_out.setdefault(netns, place)
                        self._put_above(netns, user)
        for netns, served in inside.items():
            for place in served:
                way_out = ways_out.get(netns, served[0])
                if segment[place] != segment[way_out]:
                    self._join(way_out, place, Edge.ROUTED)

    def _hops(self, picture: Picture, segment: dict[Place, int]) -> Iterator[tuple[Route, Place, Place | None]]:
        """Each route with its link, and the link of another namespace on that segment that is its gateway."""
        holders: dict[str, list[Place]] = {}
        for address in picture.of(Address):
            holders.setdefault(address.address, []).append((address.netns, address.link))
        for route in sorted(picture.of(Route), key=lambda route: (natural(route.netns), route.name)):
            place = (route.netns, route.link or "")
            if place not in self.links:
                continue
            reached = [
                holder
                for holder in sorted(holders.get(route.gateway or "", ()), key=_order)
                if holder[0] != route.netns and segment.get(holder) == segment[place]
            ]
            yield route, place, reached[0] if reached else None

    def _put_above(self, netns: str, gateway: str) -> None:
        self._above.setdefault(netns, gateway)
        self._serving.add(gateway)

    # Components and their beginnings

    def components(self) -> list[list[Place]]:
        """The places in groups that are joined, one way or another; in natural order."""
        seen: set[Place] = set()
        found = []
        for start in sorted(self.joined, key=_order):
            if start not in seen:
                seen.add(start)
                group, queue = [], deque([start])
                while queue:
                    place = queue.popleft()
                    group.append(place)
                    fresh = [other for other in self.joined[place] if other not in seen]
                    seen.update(fresh)
                    queue.extend(fresh)
                found.append(group)
        return found

    def beginning(self, group: Iterable[Place]) -> Place:
        """The place at which the drawing of that group begins: as far out as it goes."""
        best = min(group, key=self._remoteness)
        if self._rank(best) != UPLINK:
            return best
        seen = {best}
        while (further := self._outward(best, seen)) is not None:
            best = further
            seen.add(best)
        return best

    def neighbours(self, place: Place) -> list[tuple[Edge, Place]]:
        """What is joined to a place, in the order in which it is drawn: routed ones last, for they lead far."""
        found = [(edge, other) for other, edge in self.joined[place].items()]
        return sorted(found, key=lambda pair: (pair[0] is Edge.ROUTED, *self._by_name(pair[1])))

    def _by_name(self, place: Place) -> tuple[object, ...]:
        # By the full name: a shortened one ends in a digest, which would shuffle them.
        link = self.links.get(place)
        return natural(place[0]), natural((link and link.long) or place[1]), place

    def _remoteness(self, place: Place) -> tuple[object, ...]:
        rank, netns = self._rank(place), place[0]
        gateways = sum(1 for _ in self._upwards(netns))
        return rank != HARDWARE, netns not in self._serving, gateways, rank, _order(place)

    def _upwards(self, netns: str) -> Iterator[str]:
        seen = {netns}
        while (above := self._above.get(netns)) is not None and above not in seen:
            seen.add(above)
            yield above
            netns = above

    def _rank(self, place: Place) -> int:
        link = self.links.get(place)
        edges = self.joined[place]
        if link is None:
            return HARDWARE if Edge.PARENT in edges.values() else NOT_READ
        if isinstance(link, Nic) and not link.kernel_kind:
            return HARDWARE
        carries = any(self._carried(place, other) for other in edges)
        into_the_dark = any(other not in self.links for other in edges)
        if NIC_NAME.fullmatch(link.name) and (carries or link.master or into_the_dark):
            return UPLINK
        if place in self._defaults and into_the_dark:
            return UPLINK
        return MASTER if carries else PORT if link.master else OTHER

    def _carried(self, place: Place, other: Place) -> bool:
        """Whether `other` is a port of this place, or a macvlan on it."""
        link = self.links.get(other)
        if link is None or other == place:
            return False
        parent = link.parent if isinstance(link, Child) else None
        return (link.netns, link.master) == place or parent == place

    def _outward(self, place: Place, seen: set[Place]) -> Place | None:
        """The next place on the way out, or None where this is the outermost."""
        for edge, other in self.neighbours(place):
            if other in seen or place[0] in self._upwards(other[0]):
                continue
            if edge in (Edge.CABLE, Edge.HELD):
                return other
            if edge is Edge.PORT and len(seen) > 1:
                # Into the switch that the cable led to, and out of it by its own uplink.
                if self._carried(other, place):
                    return other
                if self._rank(other) in (HARDWARE, UPLINK):
                    return other
        return None
