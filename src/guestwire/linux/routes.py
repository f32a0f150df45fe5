"""Routes as rtnetlink tells them: the numbers of their messages, and what the kernel has in its tables.

Numbers are those of include/uapi/linux/rtnetlink.h. What few routes have is left to kinds/route.py (`rest`).
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Mapping
from typing import NamedTuple

from guestwire.linux.netlink import (
    NetlinkError,
    Request,
    Socket,
    attribute,
    attributes,
    left_over,
    read_address,
    read_u32,
)

__all__ = [
    "DEFAULTS",
    "RTA_DST",
    "RTA_GATEWAY",
    "RTA_OIF",
    "RTA_PREF",
    "RTA_PREFSRC",
    "RTA_PRIORITY",
    "RTA_TABLE",
    "RTM_DELROUTE",
    "RTM_NEWROUTE",
    "RTPROT_KERNEL",
    "RT_TABLE_MAIN",
    "RouteMessage",
    "Way",
    "dump_local",
    "dump_routes",
    "way_to",
]

DEFAULTS = {4: "0.0.0.0/0", 6: "::/0"}
"""The destination of a default route, by the IP version."""
RTM_NEWROUTE, RTM_DELROUTE, RTM_GETROUTE = 24, 25, 26
RTA_DST, RTA_OIF, RTA_GATEWAY, RTA_PRIORITY, RTA_PREFSRC, RTA_CACHEINFO = 1, 4, 5, 6, 7, 12
RTA_TABLE, RTA_PREF = 15, 20
RT_TABLE_MAIN, RT_TABLE_LOCAL, RTPROT_KERNEL = 254, 255, 2

_RTMSG = struct.Struct("=BBBBBBBBI")
_ROUTE_TOLD = {RTA_DST, RTA_OIF, RTA_GATEWAY, RTA_PRIORITY, RTA_PREFSRC, RTA_TABLE, RTA_CACHEINFO, RTA_PREF}


class RouteMessage(NamedTuple):
    """A route as RTM_NEWROUTE tells it; `oif` 0 where the route has several next hops."""

    family: int
    prefix: int
    origin_prefix: int
    tos: int
    protocol: int
    scope: int
    type: int
    flags: int
    destination: str
    gateway: str
    oif: int
    metric: int
    source: str
    table: int
    pref: int
    cache: bytes
    rest: Mapping[int, bytes]


def dump_routes(sock: Socket, *, main: bool = True, kernel: bool = False) -> list[RouteMessage]:
    """The routes of the main table of the socket's namespace, both families, or those of all other tables.

    With `kernel` those that the kernel made by itself, else all but those.
    """
    found = []
    body = _RTMSG.pack(0, 0, 0, 0, RT_TABLE_MAIN if main else 0, 0, 0, 0, 0)
    for answer in sock.dump(Request(RTM_GETROUTE, 0, body)):
        family, prefix, origin, tos, table, protocol, scope, kind, flags = _RTMSG.unpack_from(answer)
        if (table == RT_TABLE_MAIN) != main or (protocol == RTPROT_KERNEL) != kernel:
            continue
        if family not in (socket.AF_INET, socket.AF_INET6):
            continue
        attrs = attributes(answer, 12)
        get = attrs.get
        destination = get(RTA_DST)
        if destination is None:
            destination = bytes(4 if family == socket.AF_INET else 16)
        found.append(
            RouteMessage(
                family=family,
                prefix=prefix,
                origin_prefix=origin,
                tos=tos,
                protocol=protocol,
                scope=scope,
                type=kind,
                flags=flags,
                destination=socket.inet_ntop(family, destination),
                gateway=read_address(family, get(RTA_GATEWAY)),
                oif=read_u32(get(RTA_OIF)),
                metric=read_u32(get(RTA_PRIORITY)),
                source=read_address(family, get(RTA_PREFSRC)),
                table=read_u32(get(RTA_TABLE)) or table,
                pref=get(RTA_PREF, b"\0")[0],
                cache=get(RTA_CACHEINFO, b""),
                rest=left_over(attrs, _ROUTE_TOLD),
            )
        )
    return found


def dump_local(sock: Socket) -> list[tuple[str, int]]:
    """The IPv6 addresses that packets are taken for in the socket's namespace, each with the index of its link."""
    found = []
    body = _RTMSG.pack(socket.AF_INET6, 0, 0, 0, RT_TABLE_LOCAL, 0, 0, 0, 0)
    for answer in sock.dump(Request(RTM_GETROUTE, 0, body)):
        get = attributes(answer, 12).get
        found.append((read_address(socket.AF_INET6, get(RTA_DST)), read_u32(get(RTA_OIF))))
    return found


class Way(NamedTuple):
    """The first hop to somewhere: out of the link of that number, by a gateway or "" where it is on the link itself."""

    link: int
    gateway: str
    source: str


def way_to(sock: Socket, family: int, target: str) -> Way | None:
    """The way that the socket's namespace takes to `target`; a blackhole or the like is none (inet6_rtm_getroute)."""
    number, size = (socket.AF_INET, 32) if family == 4 else (socket.AF_INET6, 128)
    body = _RTMSG.pack(number, size, 0, 0, 0, 0, 0, 0, 0) + attribute(RTA_DST, socket.inet_pton(number, target))
    try:
        answer = sock.ask(Request(RTM_GETROUTE, 0, body))
    except NetlinkError:
        return None
    get = attributes(answer, 12).get
    return Way(read_u32(get(RTA_OIF)), read_address(number, get(RTA_GATEWAY)), read_address(number, get(RTA_PREFSRC)))
