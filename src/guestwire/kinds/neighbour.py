"""A permanent neighbour: an IP address on a link with the MAC that somebody has said is behind it (`ip neigh`).

What the kernel has learnt by asking (ARP, NDP) it learns again, and so isn't a value here. One that somebody gave stays
until it is taken away, or its link goes or is set down.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

from guestwire.kinds.link import mac_bytes
from guestwire.kinds.thing import Thing, ip
from guestwire.linux.kernel import Kernel
from guestwire.linux.neighbours import NDA_DST, NDA_LLADDR, NDA_PROTOCOL, NTF_PROXY, dump_neighbours
from guestwire.linux.netlink import NLM_F_CREATE, NLM_F_REPLACE, Request, attribute, u8
from guestwire.linux.rtnetlink import RTM_DELNEIGH, RTM_NEWNEIGH
from guestwire.picture import Value, fixed, setting

__all__ = ["Neighbour"]

NUD_PERMANENT = 0x80
NTF_ROUTER = 0x80
FAMILIES = (socket.AF_INET, socket.AF_INET6)
_NDMSG = struct.Struct("=BxxxiHBB")


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
        family = socket.AF_INET6 if ":" in self.address else socket.AF_INET
        flags = NTF_ROUTER if self.router else 0
        body = _NDMSG.pack(family, kernel.index(self.netns, self.link), NUD_PERMANENT, flags, 0)
        body += attribute(NDA_DST, socket.inet_pton(family, self.address))
        if message == RTM_NEWNEIGH:
            body += attribute(NDA_LLADDR, mac_bytes(self.mac)) if self.mac else b""
            body += u8(NDA_PROTOCOL, self.protocol) if self.protocol else b""
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
