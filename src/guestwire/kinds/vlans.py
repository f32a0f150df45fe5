"""The VLANs of a bridge's port: whose frames come in and go out there, and which of them without a tag.

A bridge that filters VLANs (vlan_filtering) takes a frame only on a port that is in its VLAN, and sends it only to
such ports. A frame without a tag belongs to the port's PVID; where there is none it is dropped. What leaves in a VLAN
that is `untagged` there has lost its tag. An access port has one VLAN, PVID and untagged; a trunk has many, tagged; the
one that is untagged on a trunk is its native VLAN (net/bridge/br_vlan.c, bridge(8)).

The bridge's own link is a port too, to the host (`self`): an address on it is in its PVID only. A new port gets the
bridge's default, VLAN 1 untagged (vlan_default_pvid), so what is wanted is set after all of that is taken away.
VLANs are 1 to 4094. They are listed in runs, as the kernel does (RTEXT_FILTER_BRVLAN_COMPRESSED).
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from typing import NamedTuple

from guestwire.kinds.thing import ip
from guestwire.linux.netlink import Request, attribute, nested, u16
from guestwire.linux.rtnetlink import (
    BRIDGE_FLAGS_SELF,
    IFLA_AF_SPEC,
    IFLA_BRIDGE_FLAGS,
    IFLA_BRIDGE_VLAN_INFO,
    VlanInfo,
    change_port,
)

__all__ = ["Vlans", "runs"]

MASTER, PVID, UNTAGGED, BEGIN, END = 1, 2, 4, 8, 16
"""BRIDGE_VLAN_INFO_* (include/uapi/linux/if_bridge.h)."""
ALL = ((1, 4094),)

Runs = tuple[tuple[int, int], ...]
_INFO = struct.Struct("=HH")


class Vlans(NamedTuple):
    """The VLANs of a port: `pvid` is 0 where there is none. A PVID that is tagged outwards is in `tagged`."""

    pvid: int = 0
    untagged: Runs = ()
    tagged: Runs = ()

    def __str__(self) -> str:
        parts = [_text(self.untagged)] if self.untagged else []
        if self.untagged != _one(self.pvid):
            parts.append(f"pvid {self.pvid or 'none'}")
        parts += [f"{_text(self.tagged)} tagged"] if self.tagged else []
        return ", ".join(parts) or "none"

    @classmethod
    def access(cls, vlan: int, tagged: Iterable[tuple[int, int]] = ()) -> Vlans:
        """Of a port with that VLAN untagged, 0 for none, and others tagged."""
        return cls(vlan, _one(vlan), runs(tagged))

    @classmethod
    def parse(cls, told: Iterable[VlanInfo]) -> Vlans:
        """What the kernel tells of a port, singly or in runs."""
        pvid, begun = 0, 0
        kinds: dict[bool, list[tuple[int, int]]] = {True: [], False: []}
        for flags, vlan in told:
            if flags & BEGIN:
                begun = vlan
                continue
            kinds[bool(flags & UNTAGGED)].append((begun if flags & END else vlan, vlan))
            pvid = vlan if flags & PVID else pvid
        return cls(pvid, runs(kinds[True]), runs(kinds[False]))

    def _infos(self) -> list[tuple[int, int, int]]:
        """Flags, first and last of each run as it is set; the PVID by itself, since a run can't be one."""
        found = []
        for flags, several in ((UNTAGGED, self.untagged), (0, self.tagged)):
            for first, last in several:
                if first <= self.pvid <= last:
                    cut = ((first, self.pvid - 1, 0), (self.pvid, self.pvid, PVID), (self.pvid + 1, last, 0))
                    found += [(flags | own, a, b) for a, b, own in cut if a <= b]
                else:
                    found.append((flags, first, last))
        return found

    def requests(self, index: int, itself: bool, before: Vlans | None) -> list[Request]:
        """What makes the port of that number have these; `before` None is whatever a new port has."""
        gone = _take(before)
        asked = [change_port(index, _spec([(0, a, b) for a, b in gone], itself), delete=True)] if gone else []
        infos = self._infos()
        return asked + ([change_port(index, _spec(infos, itself))] if infos else [])

    def commands(self, netns: str, name: str, itself: bool, before: Vlans | None) -> list[str]:
        """The commands that do the same."""
        end = ["self"] if itself else []
        found = [
            ip(netns, "vlan", "del", "dev", name, "vid", _run(a, b), *end, tool="bridge") for a, b in _take(before)
        ]
        for flags, a, b in self._infos():
            words = [word for bit, word in ((PVID, "pvid"), (UNTAGGED, "untagged")) if flags & bit]
            found.append(ip(netns, "vlan", "add", "dev", name, "vid", _run(a, b), *words, *end, tool="bridge"))
        return found


def runs(given: Iterable[tuple[int, int]]) -> Runs:
    """Runs of VLANs in order, those that touch or overlap joined."""
    found: list[tuple[int, int]] = []
    for first, last in sorted(given):
        if found and first <= found[-1][1] + 1:
            found[-1] = (found[-1][0], max(last, found[-1][1]))
        else:
            found.append((first, last))
    return tuple(found)


def _take(before: Vlans | None) -> Runs:
    """What is to be taken away before others are set; a flag can't be taken from one that stays."""
    return ALL if before is None else runs((*before.untagged, *before.tagged))


def _spec(infos: Iterable[tuple[int, int, int]], itself: bool) -> bytes:
    parts = [u16(IFLA_BRIDGE_FLAGS, BRIDGE_FLAGS_SELF)] if itself else []
    for flags, first, last in infos:
        ends = [(flags, first)] if first == last else [(flags | BEGIN, first), (flags | END, last)]
        parts += [attribute(IFLA_BRIDGE_VLAN_INFO, _INFO.pack(*each)) for each in ends]
    return nested(IFLA_AF_SPEC, *parts)


def _one(vlan: int) -> Runs:
    return ((vlan, vlan),) if vlan else ()


def _run(first: int, last: int) -> str:
    return str(first) if first == last else f"{first}-{last}"


def _text(several: Runs) -> str:
    return " ".join(_run(*each) for each in several)
