"""A static entry of a bridge's forwarding table: this MAC is behind that port, whatever the bridge hears.

With a `locked` port such an entry is what makes port security: frames from other MACs don't come in (bridge(8)).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from guestwire.kinds.thing import Thing, ip
from guestwire.linux.kernel import Kernel
from guestwire.linux.neighbours import (
    NTF_MASTER,
    NUD_NOARP,
    NUD_PERMANENT,
    NUD_REACHABLE,
    NeighbourMessage,
    dump_neighbours,
    neighbour,
)
from guestwire.linux.netlink import NLM_F_CREATE, NLM_F_EXCL, Request
from guestwire.linux.rtnetlink import AF_BRIDGE, RTM_DELNEIGH, RTM_NEWNEIGH
from guestwire.picture import Value, fixed

__all__ = ["Fdb"]

NUD_STATIC = NUD_NOARP | NUD_REACHABLE  # what `bridge fdb add … static` sends


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Fdb(Thing):
    """A static entry; `name` is "MAC LINK". It bears no mark, so it counts as ours where its port does."""

    KIND: ClassVar[str] = "fdb"
    DUMPED: ClassVar[bool] = True
    MARKED: ClassVar[bool] = False
    RANK: ClassVar[int] = 40

    mac: str = fixed("")
    link: str = fixed("")

    @classmethod
    def at(cls, netns: str, link: str, mac: str, owner: str | None) -> Fdb:
        """The entry that places a MAC behind a port."""
        return cls(netns=netns, name=f"{mac} {link}", owner=owner, mac=mac, link=link)

    @classmethod
    def parse(cls, netns: str, link: str, owner: str | None, seen: NeighbourMessage) -> Fdb | None:
        """The value of an entry as the kernel told it; None for learnt ones and for a port's own address."""
        if seen.family != AF_BRIDGE or not seen.state & NUD_NOARP or seen.state & NUD_PERMANENT:
            return None
        return cls.at(netns, link, seen.mac, owner)

    @classmethod
    def dump(cls, kernel: Kernel, netns: str, links: Mapping[int, Thing]) -> list[Thing]:
        seen = [(links.get(e.ifindex), e) for e in dump_neighbours(kernel.socket(netns), AF_BRIDGE)]
        parsed = (cls.parse(netns, link.name, link.owner, entry) for link, entry in seen if link)
        return [value for value in parsed if value is not None]

    def create(self, kernel: Kernel) -> None:
        kernel.send(self.netns, self._request(kernel, RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_EXCL))

    def change(self, kernel: Kernel, seen: Value) -> None:
        """An entry has no settings."""

    def delete(self, kernel: Kernel) -> None:
        kernel.send(self.netns, self._request(kernel, RTM_DELNEIGH, 0))

    def _request(self, kernel: Kernel, message: int, how: int) -> Request:
        index = kernel.index(self.netns, self.link)
        return Request(message, how, neighbour(index, NUD_STATIC, NTF_MASTER, mac=self.mac))

    def on_links(self) -> tuple[tuple[str, str], ...]:
        return ((self.netns, self.link),)

    def _command(self, verb: str, *more: str) -> str:
        return ip(self.netns, "fdb", verb, self.mac, "dev", self.link, "master", *more, tool="bridge")

    def create_commands(self) -> list[str]:
        return [self._command("add", "static")]

    def change_commands(self, seen: Value) -> list[str]:
        return []

    def delete_commands(self) -> list[str]:
        return [self._command("delete")]
