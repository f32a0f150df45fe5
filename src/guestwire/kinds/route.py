"""A route: which way to a destination, and what the first hop is.

Routes that the kernel makes by itself, to the prefix of each address, are left to it and aren't values here. A route
goes when its link goes or is set down (IPv6: also when its link's last address goes). Those of the main table are read
always, those of others (`ip route show table all`) where somebody asks.

Of IPv4 there is one route for a destination, metric and type of service, or one with several next hops. Of IPv6 those
with a gateway and the same destination and metric are the next hops of one; others stand beside one another
(fib6_add_rt2node, net/ipv6/ip6_fib.c), and "replace" takes the place of the first, whosesoever. So where one goes to
another link, it is added there, and then taken away from here.

What a router's advertisement says (RFC 4861) has protocol "ra" and a lifetime, which runs and is renewed.
"""

from __future__ import annotations

import errno
import socket
import struct
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self, TypeVar

from guestwire.kinds.hop import (
    RTA_FLOW,
    RTA_METRICS,
    RTA_MULTIPATH,
    RTA_VIA,
    RTNH_F_ONLINK,
    Hop,
    metrics,
    metrics_attribute,
    metrics_words,
)
from guestwire.kinds.mark import PROTOCOL
from guestwire.kinds.thing import Thing, ip, unknown_attributes
from guestwire.linux.kernel import Kernel
from guestwire.linux.netlink import NLM_F_APPEND, NLM_F_CREATE, NLM_F_EXCL, NLM_F_REPLACE, Request, attribute, u8, u32
from guestwire.linux.routes import (
    DEFAULTS,
    RT_TABLE_MAIN,
    RTA_DST,
    RTA_PREF,
    RTA_PREFSRC,
    RTA_PRIORITY,
    RTA_TABLE,
    RTM_DELROUTE,
    RTM_NEWROUTE,
    RTPROT_KERNEL,
    RouteMessage,
)
from guestwire.picture import Value, fact, fixed, passing, setting

__all__ = ["RTPROT_RA", "RT_SCOPE_LINK", "RT_SCOPE_UNIVERSE", "AnyRoute", "Route", "told_apart"]

RTPROT_STATIC, RTPROT_RA = 4, 9
RT_SCOPE_UNIVERSE, RT_SCOPE_LINK, RTN_UNICAST = 0, 253, 1
RTA_SRC, RTA_EXPIRES = 2, 23
METRIC_IPV6 = 1024  # what the kernel takes for none (net/ipv6/route.c, IP6_RT_PRIO_USER)
TICKS = 100  # of a second, in which the kernel tells when a route expires (USER_HZ)
TYPES = {1: "unicast", 2: "local", 3: "broadcast", 4: "anycast", 5: "multicast"} | {
    6: "blackhole",
    7: "unreachable",
    8: "prohibit",
    9: "throw",
}
PREFERENCES = {0: "medium", 1: "high", 3: "low"}  # RFC 4191
_RTMSG = struct.Struct("=BBBBBBBBI")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class AnyRoute(Thing):
    """What all routes have; `name` is the destination with what else tells it from others, as far as it isn't usual.

    A Route is one of the main table, a TableRoute one of another, a PrefixRoute one that the kernel has made of what a
    router advertises.
    """

    RANK: ClassVar[int] = 50

    destination: str = fixed("")
    metric: int = fixed(0)
    table: int = fixed(RT_TABLE_MAIN)
    tos: int = fixed(0)
    origin: str = fixed("")
    """Of IPv6: only what is sent from there takes it (`from`)."""
    link: str | None = setting()
    gateway: str | None = setting()
    hops: tuple[Hop, ...] | None = setting()
    """Its next hops, where it has several; then it has no link and gateway itself."""
    source: str | None = setting()
    onlink: bool | None = setting(False)
    type: int | None = setting(RTN_UNICAST)
    protocol: int | None = setting()
    scope: int | None = setting()
    """Of IPv4: how far the destination is. The host takes an address of its own of no lesser scope to send from."""
    metrics: tuple[tuple[str, int | str], ...] | None = setting()
    """MTU, window and the like, by the words of `ip route`; "lock" is a bit mask of those that are locked."""
    preference: int | None = setting()
    realms: int | None = setting()
    until: float | None = passing()
    """When it expires, by CLOCK_MONOTONIC; None for never."""
    unknown: tuple[int, ...] = fact(())
    """The attributes that it has and nothing here knows."""

    @property
    def is_default(self) -> bool:
        """Whether it leads to all that no other leads to."""
        return self.destination in DEFAULTS.values()

    @classmethod
    def to(
        cls,
        netns: str,
        destination: str,
        link: str,
        owner: str | None,
        gateway: str | None = None,
        source: str | None = None,
        onlink: bool = False,
        metric: int | None = None,
    ) -> Self:
        """A route to `destination` ("10.0.0.0/24") out of a link, through a gateway or straight on."""
        return cls(
            netns=netns,
            name=destination if metric is None else f"{destination} metric {metric}",
            owner=owner,
            destination=destination,
            metric=metric or (METRIC_IPV6 if ":" in destination else 0),
            link=link,
            gateway=gateway,
            source=source,
            onlink=onlink,
            protocol=PROTOCOL,
        )

    @classmethod
    def _seen(cls, netns: str, link: str, owner: str | None, seen: RouteMessage, links: Mapping[int, str]) -> Self:
        """The value of a route as the kernel told it; `links` are the names for the numbers of next hops."""
        six = seen.family == socket.AF_INET6
        destination = f"{seen.destination}/{seen.prefix}"
        value = cls(
            netns=netns,
            name=destination,
            owner=owner if seen.protocol == PROTOCOL else None,
            destination=destination,
            metric=seen.metric,
            table=seen.table,
            tos=seen.tos,
            link=link or None,
            gateway=seen.gateway or None,
            hops=(),
            source=seen.source or None,
            onlink=bool(seen.flags & RTNH_F_ONLINK),
            type=seen.type,
            protocol=seen.protocol,
            scope=None if six else seen.scope,
            metrics=(),
            preference=seen.pref if six else None,
            realms=0,
            until=_expires(seen.cache) if seen.cache else None,
        )
        if seen.rest:
            value = replace(value, **_more(seen, links))
        name = value._name()
        return value if name == destination else replace(value, name=name)

    def _name(self) -> str:
        """What it is called: its destination, and what else tells it from others, as far as it isn't usual."""
        usual = METRIC_IPV6 if ":" in self.destination else 0
        if self.metric == usual and self.table == RT_TABLE_MAIN and not (self.tos or self.origin or self.fleeting):
            return self.destination
        words: list[object] = [self.destination]
        words += ["metric", self.metric] if self.metric != usual else []
        words += ["tos", f"{self.tos:#x}"] if self.tos else []
        words += ["from", self.origin] if self.origin else []
        words += ["table", self.table] if self.table != RT_TABLE_MAIN else []
        if self.protocol == RTPROT_RA:  # each router's on each link stands beside the others
            words += ["ra", "via", self.gateway]
        words += ["dev", self.link] if self.fleeting else []
        return " ".join(map(str, words))

    @property
    def family(self) -> int:
        """4 or 6."""
        return 6 if ":" in self.destination else 4

    @property
    def way(self) -> tuple[object, ...]:
        """What the kernel tells routes apart by; of each there is one unless it is added beside others."""
        return self.netns, self.destination, self.metric, self.table, self.tos, self.origin

    @property
    def ends(self) -> bool:
        """Whether it goes by itself unless somebody renews it."""
        return self.until is not None

    @property
    def fleeting(self) -> bool:
        return self.protocol in (RTPROT_RA, RTPROT_KERNEL)

    def can_return(self) -> bool:
        return self.until is None or self.until > time.monotonic()

    def moved(self, old: str, new: str) -> Self | None:
        if self.link == old:
            words = self.name.split()
            named = [new if before == "dev" else word for before, word in zip(["", *words], words, strict=False)]
            return replace(self, link=new, name=" ".join(named))
        if any(hop.link == old for hop in self.hops or ()):
            hops = tuple(hop._replace(link=new) if hop.link == old else hop for hop in self.hops or ())
            return replace(self, hops=hops)
        return None

    def uncarried(self) -> str | None:
        return unknown_attributes("RTA", self.unknown)

    def create(self, kernel: Kernel) -> None:
        how = NLM_F_APPEND if self._has_others_beside else NLM_F_EXCL
        there = errno.EEXIST if self.fleeting else 0
        kernel.send(self.netns, self._request(kernel, RTM_NEWROUTE, NLM_F_CREATE | how), there)

    def change(self, kernel: Kernel, seen: Value) -> None:
        assert isinstance(seen, AnyRoute)
        if self._goes_elsewhere(seen):
            kernel.send(self.netns, self._request(kernel, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_APPEND))
            seen.delete(kernel)
        else:
            kernel.send(self.netns, self._request(kernel, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE))

    def delete(self, kernel: Kernel) -> None:
        kernel.send(self.netns, self._request(kernel, RTM_DELROUTE, 0), errno.ESRCH if self.fleeting else 0)

    @property
    def _or_not(self) -> str:
        """What a shell is told where it may be there already, or be gone."""
        return " 2>/dev/null || true" if self.fleeting else ""

    @property
    def _has_others_beside(self) -> bool:
        """Whether another of its destination and metric may be there, as its name says."""
        return " dev " in self.name

    def _goes_elsewhere(self, seen: AnyRoute) -> bool:
        """Whether it is to be added before the one that was is taken away, since "replace" might take another's place.

        Not so with several next hops: those have no other beside.
        """
        return self.family == 6 and self.link is not None and seen.link is not None and self.link != seen.link

    def _request(self, kernel: Kernel, message: int, how: int) -> Request:
        address, prefix = self.destination.split("/")
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        scope = self._usual_scope if self.scope is None else self.scope
        flags = RTNH_F_ONLINK if self.onlink else 0
        kind = self.type or RTN_UNICAST
        protocol = self.protocol or RTPROT_STATIC
        table = self.table if self.table < 256 else 0
        origin, _, origin_prefix = self.origin.partition("/")
        body = _RTMSG.pack(family, int(prefix), int(origin_prefix or 0), self.tos, table, protocol, scope, kind, flags)
        if int(prefix):
            body += attribute(RTA_DST, socket.inet_pton(family, address))
        if origin:
            body += attribute(RTA_SRC, socket.inet_pton(family, origin))
        if self.table > 255:
            body += u32(RTA_TABLE, self.table)
        if self.hops:
            hops = b"".join(
                hop.pack(family, kernel.index(self.netns, hop.link) if hop.link else 0) for hop in self.hops
            )
            body += attribute(RTA_MULTIPATH, hops)
        body += Hop(self.link, self.gateway).attributes(family, kernel.index(self.netns, self.link) if self.link else 0)
        if self.metric:
            body += u32(RTA_PRIORITY, self.metric)
        if message == RTM_NEWROUTE:
            body += self._passing(family)
        return Request(message, how, body)

    def _passing(self, family: int) -> bytes:
        """The attributes that don't tell one route from another."""
        body = attribute(RTA_PREFSRC, socket.inet_pton(family, self.source)) if self.source else b""
        body += metrics_attribute(self.metrics) if self.metrics else b""
        body += u8(RTA_PREF, self.preference) if self.preference else b""
        body += u32(RTA_FLOW, self.realms) if self.realms else b""
        return body + (u32(RTA_EXPIRES, max(1, round(self._left))) if self.until is not None else b"")

    @property
    def _left(self) -> float:
        return 0 if self.until is None else self.until - time.monotonic()

    @property
    def _usual_scope(self) -> int:
        """What `ip route` takes where nobody says."""
        straight = self.link is not None and self.gateway is None and self.family == 4
        return RT_SCOPE_LINK if straight else RT_SCOPE_UNIVERSE

    def on_links(self) -> tuple[tuple[str, str], ...]:
        if self.hops:
            return tuple((self.netns, hop.link) for hop in self.hops if hop.link)
        return ((self.netns, self.link),) if self.link else ()

    def _command(self, verb: str) -> str:
        kind = TYPES.get(self.type or RTN_UNICAST, str(self.type))
        new = verb != "delete"
        words: list[object] = [kind if kind != "unicast" else "", self.destination]
        words += ["from", self.origin] if self.origin else []
        words += Hop(self.link, self.gateway).words(self.family)
        words += ["src", self.source] if self.source and new else []
        words += ["metric", self.metric] if self.metric else []
        words += ["tos", f"{self.tos:#x}"] if self.tos else []
        words += ["table", self.table] if self.table != RT_TABLE_MAIN else []
        words += ["scope", self.scope] if self.scope not in (None, self._usual_scope) else []
        words += ["onlink"] if self.onlink else []
        if new:
            words += metrics_words(self.metrics or ())
            words += ["pref", PREFERENCES.get(self.preference, self.preference)] if self.preference else []
            words += ["realms", f"{self.realms >> 16}/{self.realms & 0xFFFF}"] if self.realms else []
            words += ["expires", max(1, round(self._left))] if self.until is not None else []
        words += ["proto", self.protocol or RTPROT_STATIC]
        for hop in self.hops or ():
            words += ["nexthop", *hop.words(self.family), "weight", hop.weight, *(["onlink"] if hop.onlink else [])]
        return ip(self.netns, "-6" if self.family == 6 else "", "route", verb, *words)

    def create_commands(self) -> list[str]:
        return [self._command("append" if self._has_others_beside else "add") + self._or_not]

    def change_commands(self, seen: Value) -> list[str]:
        assert isinstance(seen, AnyRoute)
        if self._goes_elsewhere(seen):
            return [self._command("append"), seen._command("delete")]
        return [self._command("replace")]

    def delete_commands(self) -> list[str]:
        return [self._command("delete") + self._or_not]

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Self:
        value = super(AnyRoute, cls).from_json(data)
        return replace(value, hops=tuple(Hop(*hop) for hop in value.hops)) if value.hops else value


R = TypeVar("R", bound=AnyRoute)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Route(AnyRoute):
    """A route of the main table."""

    KIND: ClassVar[str] = "route"

    @classmethod
    def parse(cls, netns: str, link: str, owner: str | None, seen: RouteMessage, links: Mapping[int, str]) -> Route:
        """The value of a route as the kernel told it."""
        return cls._seen(netns, link, owner, seen, links)


def told_apart(routes: Iterable[R]) -> Iterator[R]:
    """The routes of a namespace, those of one name under longer ones, whichever stands first."""
    found: dict[str, list[R]] = {}
    for route in routes:
        found.setdefault(route.name, []).append(route)
    for name, same in found.items():
        if len(same) == 1 or same[0].fleeting:
            yield same[-1]
        else:
            yield from (replace(r, name=f"{name} dev {r.link} via {r.gateway} type {r.type}") for r in same)


def _expires(cache: bytes) -> float | None:
    """When a route expires, from its rta_cacheinfo; None for never."""
    ticks = struct.unpack_from("=i", cache, 8)[0]
    return time.monotonic() + ticks / TICKS if ticks else None


def _more(seen: RouteMessage, links: Mapping[int, str]) -> dict[str, Any]:
    """The fields of what few routes have."""
    rest = dict(seen.rest)
    found: dict[str, Any] = {}
    unknown: set[int] = set()
    if RTA_SRC in rest:
        found["origin"] = f"{socket.inet_ntop(seen.family, rest.pop(RTA_SRC))}/{seen.origin_prefix}"
    if RTA_VIA in rest:
        found["gateway"] = Hop.via(rest.pop(RTA_VIA))
    if RTA_METRICS in rest:
        found["metrics"], strange = metrics(rest.pop(RTA_METRICS))
        unknown |= {RTA_METRICS} if strange else set()
    if RTA_FLOW in rest:
        found["realms"] = struct.unpack("=I", rest.pop(RTA_FLOW))[0]
    if RTA_MULTIPATH in rest:
        found["hops"], strange = Hop.parse_all(seen.family, rest.pop(RTA_MULTIPATH), links)
        unknown |= {RTA_MULTIPATH} if strange else set()
    return {**found, "unknown": tuple(sorted(unknown | rest.keys()))}
