"""What of a route is not about where to: its next hops, each a link and a gateway, and its metrics (MTU, window …).

A route with several next hops holds them in RTA_MULTIPATH, each a struct rtnexthop with attributes of its own
(include/uapi/linux/rtnetlink.h); packets are spread over them by their weights.
"""

from __future__ import annotations

import socket
import struct
import sys
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from guestwire.linux.netlink import attribute, attributes, nested, text, u32
from guestwire.linux.routes import RTA_GATEWAY, RTA_OIF

__all__ = [
    "RTA_FLOW",
    "RTA_METRICS",
    "RTA_MULTIPATH",
    "RTA_VIA",
    "RTNH_F_ONLINK",
    "Hop",
    "metrics",
    "metrics_attribute",
    "metrics_words",
]

RTA_METRICS, RTA_MULTIPATH, RTA_FLOW, RTA_VIA = 8, 9, 11, 18
RTNH_F_ONLINK = 4
METRICS = {
    1: "lock",
    2: "mtu",
    3: "window",
    4: "rtt",
    5: "rttvar",
    6: "ssthresh",
    7: "cwnd",
    8: "advmss",
    9: "reordering",
    10: "hoplimit",
    11: "initcwnd",
    12: "features",
    13: "rto_min",
    14: "initrwnd",
    15: "quickack",
    16: "congctl",
    17: "fastopen_no_cookie",
}
"""The words of `ip route` for RTAX_*; all are numbers but congctl."""
CONGCTL, FEATURE_ECN = "congctl", 1
_HOP = struct.Struct("=HBBi")
_FAMILY = struct.Struct("=H")


class Hop(NamedTuple):
    """One next hop: out of `link`, to `gateway`, which may be IPv6 where the route is IPv4."""

    link: str | None
    gateway: str | None = None
    weight: int = 1
    onlink: bool = False

    @classmethod
    def via(cls, data: bytes) -> str:
        """The gateway of another family, from its RTA_VIA."""
        return socket.inet_ntop(_FAMILY.unpack_from(data)[0], data[2:])

    @classmethod
    def parse_all(cls, family: int, data: bytes, links: Mapping[int, str]) -> tuple[tuple[Hop, ...], bool]:
        """The hops in an RTA_MULTIPATH, and whether they have attributes that nothing here knows."""
        found, strange, offset = [], False, 0
        while offset + _HOP.size <= len(data):
            size, flags, more, index = _HOP.unpack_from(data, offset)
            own = attributes(data[offset + _HOP.size : offset + size])
            gateway = socket.inet_ntop(family, own[RTA_GATEWAY]) if RTA_GATEWAY in own else None
            gateway = cls.via(own[RTA_VIA]) if RTA_VIA in own else gateway
            strange |= not own.keys() <= {RTA_GATEWAY, RTA_VIA}
            found.append(cls(links.get(index), gateway, more + 1, bool(flags & RTNH_F_ONLINK)))
            offset += max(size + 3 & ~3, _HOP.size)
        return tuple(found), strange

    def attributes(self, family: int, index: int) -> bytes:
        """The attributes of a route that has this hop alone."""
        return self._gateway(family) + (u32(RTA_OIF, index) if index else b"")

    def pack(self, family: int, index: int) -> bytes:
        """The struct rtnexthop, as one of several."""
        own = self._gateway(family)
        return _HOP.pack(_HOP.size + len(own), RTNH_F_ONLINK if self.onlink else 0, self.weight - 1, index) + own

    def _gateway(self, family: int) -> bytes:
        if not self.gateway:
            return b""
        if family == socket.AF_INET and ":" in self.gateway:
            far = socket.inet_pton(socket.AF_INET6, self.gateway)
            return attribute(RTA_VIA, _FAMILY.pack(socket.AF_INET6) + far)
        return attribute(RTA_GATEWAY, socket.inet_pton(family, self.gateway))

    def words(self, family: int) -> list[object]:
        """The words of `ip route` for it."""
        other = ["inet6"] if self.gateway and family == 4 and ":" in self.gateway else []
        via = ["via", *other, self.gateway] if self.gateway else []
        return [*via, *(["dev", self.link] if self.link else [])]


def metrics(data: bytes) -> tuple[tuple[tuple[str, int | str], ...], bool]:
    """The metrics in an RTA_METRICS, by their words, and whether there are any that nothing here knows."""
    found: list[tuple[str, int | str]] = []
    strange = False
    for number, value in attributes(data).items():
        word = METRICS.get(number)
        if word == CONGCTL:
            found.append((word, value.rstrip(b"\0").decode(errors="replace")))
        elif word and not (word == "features" and value[0] != FEATURE_ECN):
            found.append((word, int.from_bytes(value, sys.byteorder)))
        else:
            strange = True
    return tuple(found), strange


def metrics_attribute(given: Iterable[tuple[str, int | str]]) -> bytes:
    """The RTA_METRICS that holds them."""
    numbers = {word: number for number, word in METRICS.items()}
    return nested(
        RTA_METRICS,
        *(text(numbers[word], v) if isinstance(v, str) else u32(numbers[word], v) for word, v in given),
    )


def metrics_words(given: Iterable[tuple[str, int | str]]) -> list[object]:
    """The words of `ip route` for them: numbers without a unit are the kernel's own."""
    told = dict(given)
    locked = int(told.pop("lock", 0))
    numbers = {word: number for number, word in METRICS.items()}
    words: list[object] = []
    for word, value in told.items():
        hold = ["lock"] if locked & 1 << numbers[word] else []
        words += [word, *hold, "ecn" if word == "features" else value]
    return words
