"""A route of the main table: which way to a destination, and what the first hop is.

Routes that the kernel makes by itself, to the prefix of each address, are left to it and aren't values here. A route
goes when its link goes or is set down (IPv6: also when its link's last address goes).
"""

from __future__ import annotations

import socket
import struct
from dataclasses import dataclass
from typing import ClassVar

from guestwire.kinds.mark import PROTOCOL
from guestwire.kinds.thing import Thing, ip
from guestwire.linux.kernel import Kernel
from guestwire.linux.netlink import NLM_F_CREATE, NLM_F_EXCL, NLM_F_REPLACE, Request, attribute, u32
from guestwire.linux.rtnetlink import (
    RTA_DST,
    RTA_GATEWAY,
    RTA_OIF,
    RTA_PREFSRC,
    RTA_PRIORITY,
    RTM_DELROUTE,
    RTM_NEWROUTE,
    RouteMessage,
)
from guestwire.picture import Value, fixed, setting

__all__ = ["RT_SCOPE_LINK", "RT_SCOPE_UNIVERSE", "Route"]

RTPROT_STATIC, RTPROT_RA = 4, 9
RT_TABLE_MAIN, RT_SCOPE_UNIVERSE, RT_SCOPE_LINK, RTN_UNICAST = 254, 0, 253, 1
RTNH_F_ONLINK = 4
METRIC_IPV6 = 1024  # what the kernel takes for none (net/ipv6/route.c, IP6_RT_PRIO_USER)
TYPES = {1: "unicast", 2: "local", 6: "blackhole", 7: "unreachable", 8: "prohibit", 9: "throw"}
_RTMSG = struct.Struct("=BBBBBBBBI")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Route(Thing):
    """A route; `name` is its destination, with "metric N" where that isn't the family's usual one.

    One that a router's advertisement made (RFC 4861) can stand beside another of its destination and metric: "ra".
    """

    KIND: ClassVar[str] = "route"
    RANK: ClassVar[int] = 50

    destination: str = fixed("")
    metric: int = fixed(0)
    link: str | None = setting()
    gateway: str | None = setting()
    source: str | None = setting()
    onlink: bool | None = setting(False)
    type: int | None = setting(RTN_UNICAST)
    protocol: int | None = setting()
    scope: int | None = setting()
    """Of IPv4: how far the destination is. The host takes an address of its own of no lesser scope to send from."""

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
    ) -> Route:
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
    def parse(cls, netns: str, link: str, owner: str | None, seen: RouteMessage) -> Route:
        """The value of a route as the kernel told it."""
        destination = f"{seen.destination}/{seen.prefix}"
        usual = METRIC_IPV6 if seen.family == socket.AF_INET6 else 0
        return cls(
            netns=netns,
            name=" ".join(
                [destination]
                + (["metric", str(seen.metric)] if seen.metric != usual else [])
                + (["ra"] if seen.protocol == RTPROT_RA else [])
            ),
            owner=owner if seen.protocol == PROTOCOL else None,
            destination=destination,
            metric=seen.metric,
            link=link or None,
            gateway=seen.gateway or None,
            source=seen.source or None,
            onlink=bool(seen.flags & RTNH_F_ONLINK),
            type=seen.type,
            protocol=seen.protocol,
            scope=seen.scope if seen.family == socket.AF_INET else None,
        )

    @property
    def family(self) -> int:
        """4 or 6."""
        return 6 if ":" in self.destination else 4

    @property
    def fleeting(self) -> bool:
        return self.protocol == RTPROT_RA

    def moved(self, link: str, owner: str | None) -> Route:
        """The same route out of another link."""
        names = ("netns", "destination", "metric", "gateway", "source", "onlink", "type")
        own = {name: getattr(self, name) for name in names}
        return Route(**own, name=self.name.removesuffix(" ra"), link=link, owner=owner, protocol=PROTOCOL)

    def create(self, kernel: Kernel) -> None:
        kernel.send(self.netns, self._request(kernel, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL))

    def change(self, kernel: Kernel, seen: Value) -> None:
        kernel.send(self.netns, self._request(kernel, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE))

    def delete(self, kernel: Kernel) -> None:
        kernel.send(self.netns, self._request(kernel, RTM_DELROUTE, 0))

    def _request(self, kernel: Kernel, message: int, how: int) -> Request:
        address, prefix = self.destination.split("/")
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        scope = self._usual_scope if self.scope is None else self.scope
        flags = RTNH_F_ONLINK if self.onlink else 0
        kind = self.type or RTN_UNICAST
        protocol = self.protocol or RTPROT_STATIC
        body = _RTMSG.pack(family, int(prefix), 0, 0, RT_TABLE_MAIN, protocol, scope, kind, flags)
        if int(prefix):
            body += attribute(RTA_DST, socket.inet_pton(family, address))
        if self.gateway:
            body += attribute(RTA_GATEWAY, socket.inet_pton(family, self.gateway))
        if self.link:
            body += u32(RTA_OIF, kernel.index(self.netns, self.link))
        if self.metric:
            body += u32(RTA_PRIORITY, self.metric)
        if self.source and message == RTM_NEWROUTE:
            body += attribute(RTA_PREFSRC, socket.inet_pton(family, self.source))
        return Request(message, how, body)

    @property
    def _usual_scope(self) -> int:
        """What `ip route` takes where nobody says."""
        straight = self.link is not None and self.gateway is None and self.family == 4
        return RT_SCOPE_LINK if straight else RT_SCOPE_UNIVERSE

    def on_links(self) -> tuple[tuple[str, str], ...]:
        return ((self.netns, self.link),) if self.link else ()

    def _command(self, verb: str) -> str:
        kind = TYPES.get(self.type or RTN_UNICAST, str(self.type))
        words: list[object] = [kind if kind != "unicast" else "", self.destination]
        words += ["via", self.gateway] if self.gateway else []
        words += ["dev", self.link] if self.link else []
        words += ["src", self.source] if self.source and verb != "delete" else []
        words += ["metric", self.metric] if self.metric else []
        words += ["scope", self.scope] if self.scope not in (None, self._usual_scope) else []
        words += ["onlink"] if self.onlink else []
        words += ["proto", self.protocol or RTPROT_STATIC]
        return ip(self.netns, "-6" if self.family == 6 else "", "route", verb, *words)

    def create_commands(self) -> list[str]:
        return [self._command("add")]

    def change_commands(self, seen: Value) -> list[str]:
        return [self._command("replace")]

    def delete_commands(self) -> list[str]:
        return [self._command("delete")]
