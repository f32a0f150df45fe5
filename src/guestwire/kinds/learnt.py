"""A link's neighbour table, as far as it was learnt: whose MAC each address has, for as long as it is believed.

It comes and goes by itself (ARP, RFC 826; NDP, RFC 4861) and is no part of what anybody wants. But where a host's
addresses go to another link, it goes along: else each neighbour must be asked anew, by a question whose answer comes
in by the other of the two links until the move is over.
"""

from __future__ import annotations

import errno
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

from guestwire.kinds.thing import Thing, ip
from guestwire.linux.kernel import Kernel
from guestwire.linux.neighbours import (
    NTF_PROXY,
    NTF_ROUTER,
    NUD_DELAY,
    NUD_PROBE,
    NUD_REACHABLE,
    NUD_STALE,
    dump_neighbours,
    neighbour,
)
from guestwire.linux.netlink import NLM_F_CREATE, NLM_F_REPLACE, Request
from guestwire.linux.rtnetlink import RTM_DELNEIGH, RTM_NEWNEIGH
from guestwire.picture import Value, passing

__all__ = ["Learnt"]

BELIEVED = NUD_REACHABLE | NUD_STALE | NUD_DELAY | NUD_PROBE


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Learnt(Thing):
    """All that was learnt on a link, whose name is `name`: of each neighbour address, MAC, state, NTF_ROUTER or 0."""

    KIND: ClassVar[str] = "neighbour table"
    RANK: ClassVar[int] = 40
    DUMPED: ClassVar[bool] = True
    MARKED: ClassVar[bool] = False

    entries: tuple[tuple[str, str, int, int], ...] = passing(())

    @classmethod
    def dump(cls, kernel: Kernel, netns: str, links: Mapping[int, Thing]) -> list[Thing]:
        found: dict[str, list[tuple[str, str, int, int]]] = {}
        for seen in dump_neighbours(kernel.socket(netns)):
            link = links.get(seen.ifindex)
            if link and seen.mac and seen.state & BELIEVED and not seen.flags & NTF_PROXY:
                state = NUD_REACHABLE if seen.state & NUD_REACHABLE else NUD_STALE
                found.setdefault(link.name, []).append((seen.address, seen.mac, state, seen.flags & NTF_ROUTER))
        return [cls(netns=netns, name=name, entries=tuple(entries)) for name, entries in found.items()]

    @property
    def fleeting(self) -> bool:
        return True

    def moved(self, old: str, new: str) -> Learnt | None:
        return replace(self, name=new) if self.name == old else None

    def create(self, kernel: Kernel) -> None:
        index = kernel.index(self.netns, self.name)
        for address, mac, state, flags in self.entries:
            body = neighbour(index, state, flags, address=address, mac=mac)
            kernel.send(self.netns, Request(RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_REPLACE, body))

    def change(self, kernel: Kernel, seen: Value) -> None:
        """There are no settings."""

    def delete(self, kernel: Kernel) -> None:
        """Forget what is there by now."""
        index = kernel.index(self.netns, self.name)
        kernel.flush()
        for seen in dump_neighbours(kernel.socket(self.netns)):
            if seen.ifindex == index and seen.state & BELIEVED:
                request = Request(RTM_DELNEIGH, 0, neighbour(index, address=seen.address))
                kernel.send(self.netns, request, errno.ENOENT)

    def on_links(self) -> tuple[tuple[str, str], ...]:
        return ((self.netns, self.name),)

    def create_commands(self) -> list[str]:
        """Those that are believed yet; the others will be asked."""
        replace, dev = ("neighbour", "replace"), ("dev", self.name)
        return [
            ip(self.netns, *replace, address, *dev, "lladdr", mac, "router" if flags else "", "nud", "reachable")
            for address, mac, state, flags in self.entries
            if state == NUD_REACHABLE
        ]

    def change_commands(self, seen: Value) -> list[str]:
        return []

    def delete_commands(self) -> list[str]:
        return [ip(self.netns, "neighbour", "flush", "dev", self.name)]
