"""A policy rule: which packets are led to which table of routes (`ip rule`), the lowest priority first.

A rule names links by their names, and waits for them: it stays where its link goes, marked as detached, and works again
where one of that name comes (net/core/fib_rules.c). Of a rule nothing can be changed: it is another rule then. A
bridge's port never is what a packet comes in by or goes out of, but the bridge is.
"""

from __future__ import annotations

import socket
import struct
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from guestwire.kinds.thing import Thing, ip, unknown_attributes
from guestwire.linux.kernel import Kernel
from guestwire.linux.netlink import NLM_F_CREATE, NLM_F_EXCL, Request, attribute, attributes, text, u8, u32
from guestwire.picture import Value, fact, fixed

__all__ = ["Rule"]

RTM_NEWRULE, RTM_DELRULE, RTM_GETRULE = 32, 33, 34
FRA_DST, FRA_SRC, FRA_IIFNAME, FRA_GOTO, FRA_PRIORITY, FRA_FWMARK, FRA_FLOW, FRA_TUN_ID = 1, 2, 3, 4, 6, 10, 11, 12
FRA_SUPPRESS_IFGROUP, FRA_SUPPRESS_PREFIXLEN, FRA_TABLE, FRA_FWMASK, FRA_OIFNAME, FRA_PAD = 13, 14, 15, 16, 17, 18
FRA_L3MDEV, FRA_UID_RANGE, FRA_PROTOCOL, FRA_IP_PROTO, FRA_SPORT_RANGE, FRA_DPORT_RANGE = 19, 20, 21, 22, 23, 24
FRA_DSCP, FRA_SPORT_MASK, FRA_DPORT_MASK, FRA_DSCP_MASK = 25, 28, 29, 30
WHOLE = {FRA_SPORT_MASK: b"\xff\xff", FRA_DPORT_MASK: b"\xff\xff", FRA_DSCP_MASK: b"\x3f"}
"""Masks that leave nothing out, which newer kernels tell where nobody gave one."""
FIB_RULE_INVERT = 2
ACTIONS = {1: "lookup", 2: "goto", 3: "nop", 6: "blackhole", 7: "unreachable", 8: "prohibit"}  # FR_ACT_*
TO_TABLE, GOTO = 1, 2
NUMBERS = {
    "priority": FRA_PRIORITY,
    "mark": FRA_FWMARK,
    "mask": FRA_FWMASK,
    "realms": FRA_FLOW,
    "goto": FRA_GOTO,
    "suppress_group": FRA_SUPPRESS_IFGROUP,
    "suppress_prefix": FRA_SUPPRESS_PREFIXLEN,
    "table": FRA_TABLE,
}
BYTES = {"protocol": FRA_PROTOCOL, "ip_protocol": FRA_IP_PROTO, "l3mdev": FRA_L3MDEV, "dscp": FRA_DSCP}
NAMES = {"iif": FRA_IIFNAME, "oif": FRA_OIFNAME}
RANGES = {
    "uids": (FRA_UID_RANGE, struct.Struct("=II")),
    "sources": (FRA_SPORT_RANGE, struct.Struct("=HH")),
    "targets": (FRA_DPORT_RANGE, struct.Struct("=HH")),
}
TOLD = {*NUMBERS.values(), *BYTES.values(), *NAMES.values(), *(kind for kind, _ in RANGES.values())}
TOLD |= {FRA_DST, FRA_SRC, FRA_TUN_ID, FRA_PAD}
UNSET = 0xFFFFFFFF  # what the kernel says of a suppressor that isn't there
FAMILIES = (socket.AF_INET, socket.AF_INET6)
_RULE = struct.Struct("=BBBBBxxBI")
_U64 = struct.Struct("!Q")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Rule(Thing):
    """A rule; `name` is how `ip rule` would tell it, with the family. It bears no mark."""

    KIND: ClassVar[str] = "rule"
    RANK: ClassVar[int] = 45
    DUMPED: ClassVar[bool] = True
    MARKED: ClassVar[bool] = False

    family: int = fixed(4)
    priority: int = fixed(0)
    action: int = fixed(TO_TABLE)
    inverted: bool = fixed(False)
    source: str = fixed("")
    destination: str = fixed("")
    tos: int = fixed(0)
    iif: str = fixed("")
    oif: str = fixed("")
    mark: int = fixed(0)
    mask: int = fixed(0)
    table: int = fixed(0)
    goto: int = fixed(0)
    suppress_group: int | None = fixed()
    suppress_prefix: int | None = fixed()
    uids: tuple[int, int] | None = fixed()
    ip_protocol: int = fixed(0)
    sources: tuple[int, int] | None = fixed()
    """The ports that it is about, from the first to the last."""
    targets: tuple[int, int] | None = fixed()
    realms: int = fixed(0)
    tunnel: int = fixed(0)
    l3mdev: int = fixed(0)
    dscp: int = fixed(0)
    protocol: int = fixed(0)
    """Who made it, as of a route."""
    unknown: tuple[int, ...] = fact(())
    """The attributes that it has and nothing here knows."""

    @classmethod
    def dump(cls, kernel: Kernel, netns: str, links: Mapping[int, Thing]) -> list[Thing]:
        """All rules, those that every namespace has (priorities 0, 32766 and 32767) included."""
        answers = kernel.socket(netns).dump(Request(RTM_GETRULE, 0, _RULE.pack(0, 0, 0, 0, 0, 0, 0)))
        return [rule for body in answers if (rule := cls._seen(netns, body))]

    @classmethod
    def _seen(cls, netns: str, body: bytes) -> Rule | None:
        family, dst_length, src_length, tos, table, action, flags = _RULE.unpack_from(body)
        if family not in FAMILIES:
            return None
        found = attributes(body, 12)
        own: dict[str, Any] = {"table": table}
        own |= {name: int.from_bytes(found[kind], sys.byteorder) for name, kind in NUMBERS.items() if kind in found}
        own |= {name: found[kind][0] for name, kind in BYTES.items() if kind in found}
        own |= {name: found[kind].rstrip(b"\0").decode() for name, kind in NAMES.items() if kind in found}
        own |= {name: form.unpack(found[kind]) for name, (kind, form) in RANGES.items() if kind in found}
        for name, kind, length in (("source", FRA_SRC, src_length), ("destination", FRA_DST, dst_length)):
            if kind in found:
                own[name] = f"{socket.inet_ntop(family, found[kind])}/{length}"
        if FRA_TUN_ID in found:
            own["tunnel"] = _U64.unpack(found[FRA_TUN_ID])[0]
        own |= {name: None for name in ("suppress_group", "suppress_prefix") if own.get(name) == UNSET}
        unknown = tuple(sorted(kind for kind in found.keys() - TOLD if found[kind] != WHOLE.get(kind)))
        version = 6 if family == socket.AF_INET6 else 4
        inverted = bool(flags & FIB_RULE_INVERT)
        value = cls(
            netns=netns, name="", family=version, action=action, inverted=inverted, tos=tos, unknown=unknown, **own
        )
        return value._named()

    def _named(self) -> Rule:
        return replace(self, name=" ".join(str(word) for word in (f"IPv{self.family}", *self._words())))

    def moved(self, old: str, new: str) -> Rule | None:
        if old not in (self.iif, self.oif):
            return None
        iif, oif = (new if name == old else name for name in (self.iif, self.oif))
        return replace(self, iif=iif, oif=oif)._named()

    def uncarried(self) -> str | None:
        if self.action not in ACTIONS:
            return f"it has an action that this version doesn't know ({self.action})"
        return unknown_attributes("FRA", self.unknown)

    def create(self, kernel: Kernel) -> None:
        kernel.send(self.netns, self._request(RTM_NEWRULE, NLM_F_CREATE | NLM_F_EXCL))

    def change(self, kernel: Kernel, seen: Value) -> None:
        """A rule has no settings."""

    def delete(self, kernel: Kernel) -> None:
        kernel.send(self.netns, self._request(RTM_DELRULE, 0))

    def _request(self, message: int, how: int) -> Request:
        family = socket.AF_INET6 if self.family == 6 else socket.AF_INET
        (src, _, src_length), (dst, _, dst_length) = (each.partition("/") for each in (self.source, self.destination))
        table = self.table if self.table < 256 else 0
        flags = FIB_RULE_INVERT if self.inverted else 0
        lengths = (int(dst_length or 0), int(src_length or 0))
        body = _RULE.pack(family, *lengths, self.tos, table, self.action, flags)
        for kind, address in ((FRA_DST, dst), (FRA_SRC, src)):
            body += attribute(kind, socket.inet_pton(family, address)) if address else b""
        for name, kind in NUMBERS.items():
            value = getattr(self, name)
            if value if name not in ("priority", "suppress_group", "suppress_prefix") else value is not None:
                body += u32(kind, value)
        body += u32(FRA_FWMASK, 0) if self.mark and not self.mask else b""
        for name, kind in BYTES.items():
            body += u8(kind, getattr(self, name)) if getattr(self, name) else b""
        for name, kind in NAMES.items():
            body += text(kind, getattr(self, name)) if getattr(self, name) else b""
        for name, (kind, form) in RANGES.items():
            body += attribute(kind, form.pack(*getattr(self, name))) if getattr(self, name) else b""
        return Request(message, how, body + (attribute(FRA_TUN_ID, _U64.pack(self.tunnel)) if self.tunnel else b""))

    def _words(self) -> list[object]:
        words: list[object] = ["not"] if self.inverted else []
        words += ["from", self.source or "all"]
        words += ["to", self.destination] if self.destination else []
        words += ["tos", f"{self.tos:#x}"] if self.tos else []
        words += ["dscp", self.dscp] if self.dscp else []
        words += ["fwmark", f"{self.mark:#x}/{self.mask:#x}"] if self.mark or self.mask else []
        words += ["iif", self.iif] if self.iif else []
        words += ["oif", self.oif] if self.oif else []
        words += ["l3mdev"] if self.l3mdev else []
        for word, limits in (("uidrange", self.uids), ("sport", self.sources), ("dport", self.targets)):
            words += [word, "-".join(map(str, limits))] if limits else []
        words += ["ipproto", self.ip_protocol] if self.ip_protocol else []
        words += ["tun_id", self.tunnel] if self.tunnel else []
        words += ["priority", self.priority]
        words += ["protocol", self.protocol] if self.protocol else []
        words += ["realms", f"{self.realms >> 16}/{self.realms & 0xFFFF}"] if self.realms else []
        words += ["suppress_prefixlength", self.suppress_prefix] if self.suppress_prefix is not None else []
        words += ["suppress_ifgroup", self.suppress_group] if self.suppress_group is not None else []
        return words + self._goal()

    def _goal(self) -> list[object]:
        if self.action == TO_TABLE:
            return ["table", self.table] if not self.l3mdev else []
        return ["goto", self.goto] if self.action == GOTO else ["type", ACTIONS.get(self.action, self.action)]

    def _command(self, verb: str) -> str:
        return ip(self.netns, "-6" if self.family == 6 else "", "rule", verb, *self._words())

    def create_commands(self) -> list[str]:
        return [self._command("add")]

    def change_commands(self, seen: Value) -> list[str]:
        return []

    def delete_commands(self) -> list[str]:
        return [self._command("delete")]
