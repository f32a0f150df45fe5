"""A permanent neighbour: an IP address on a link with the MAC that somebody has said is behind it (`ip neigh`).

What the kernel has learnt by asking (ARP, NDP) it learns again, and so isn't a value here. One that somebody gave stays
until it is taken away, or its link goes or is set down.
"""

from __future__ import annotations

import socket
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

from guestwire.kinds.thing import Thing, ip
from guestwire.linux.kernel import Kernel
from guestwire.linux.neighbours import NTF_PROXY, NTF_ROUTER, NUD_PERMANENT, dump_neighbours, neighbour
from guestwire.linux.netlink import NLM_F_CREATE, NLM_F_REPLACE, Request
from guestwire.linux.rtnetlink import RTM_DELNEIGH, RTM_NEWNEIGH
from guestwire.picture import Value, fixed, setting

__all__ = ["Neighbour"]

FAMILIES = (socket.AF_INET, socket.AF_INET6)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Neighbour(Thing):
    """A permanent neighbour; `name` is "ADDRESS LINK". `router` is what IPv6 says of a router."""

    KIND: ClassVar[str] = "neighbour"
    RANK: ClassVar[int] = 40
    DUMPED: ClassVar[bool] = True
    MARKED: ClassVar[bool] = False

    address: str = fixed("")
    link: str = fixed("")
    mac: str | None = setting()
    router: bool | None = setting(False)
    protocol: int | None = setting()

    @classmethod
    def dump(cls, kernel: Kernel, netns: str, links: Mapping[int, Thing]) -> list[Thing]:
        return [
            cls(
                netns=netns,
                name=f"{seen.address} {link.name}",
                address=seen.address,
                link=link.name,
                mac=seen.mac,
                router=bool(seen.flags & NTF_ROUTER),
                protocol=seen.protocol,
            )
            for seen in dump_neighbours(kernel.socket(netns))
            if seen.state & NUD_PERMANENT and seen.family in FAMILIES and not seen.flags & NTF_PROXY
            if (link := links.get(seen.ifindex))
        ]

    def moved(self, old: str, new: str) -> Neighbour | None:
        return replace(self, name=f"{self.address} {new}", link=new) if self.link == old else None

    def create(self, kernel: Kernel) -> None:
        """Make it, in the place of what was learnt of that address meanwhile."""
        kernel.send(self.netns, self._request(kernel, RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_REPLACE))

    def change(self, kernel: Kernel, seen: Value) -> None:
        self.create(kernel)

    def delete(self, kernel: Kernel) -> None:
        kernel.send(self.netns, self._request(kernel, RTM_DELNEIGH, 0))

    def _request(self, kernel: Kernel, message: int, how: int) -> Request:
        index, flags = kernel.index(self.netns, self.link), NTF_ROUTER if self.router else 0
        mac, protocol = (self.mac or "", self.protocol or 0) if message == RTM_NEWNEIGH else ("", 0)
        body = neighbour(index, NUD_PERMANENT, flags, address=self.address, mac=mac, protocol=protocol)
        return Request(message, how, body)

    def on_links(self) -> tuple[tuple[str, str], ...]:
        return ((self.netns, self.link),)

    def _command(self, verb: str, *more: object) -> str:
        return ip(self.netns, "neighbour", verb, self.address, "dev", self.link, *more)

    def create_commands(self) -> list[str]:
        words: list[object] = ["lladdr", self.mac] if self.mac else []
        words += ["router"] if self.router else []
        words += ["protocol", self.protocol] if self.protocol else []
        return [self._command("replace", *words, "nud", "permanent")]

    def change_commands(self, seen: Value) -> list[str]:
        return self.create_commands()

    def delete_commands(self) -> list[str]:
        return [self._command("delete")]
