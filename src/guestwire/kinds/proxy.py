"""An address for which the host answers on a link although another has it: proxy ARP, and for IPv6 proxy NDP.

A neighbour on the link's LAN asks who has the address, and is told the host's MAC; what it then sends the host passes
on. So a guest behind the host can have an address of the LAN, with one MAC on the wire. There is one entry an address,
unlike the sysctl proxy_arp, which has the host answer for all that it has a route to.

The kernel answers where the link forwards and the route to the address leads out of another link
(net/ipv4/arp.c, arp_process); for IPv6 also only with the link's sysctl proxy_ndp (net/ipv6/ndisc.c). It takes up to
.8 s over it, by the link's proxy_delay, lest it outrun who has the address really. An entry goes with its link.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

from guestwire.kinds.mark import PROTOCOL
from guestwire.kinds.thing import Thing, ip
from guestwire.linux.kernel import Kernel
from guestwire.linux.neighbours import NTF_PROXY, NUD_PERMANENT, dump_neighbours, neighbour
from guestwire.linux.netlink import NLM_F_CREATE, NLM_F_EXCL, Request
from guestwire.linux.rtnetlink import RTM_DELNEIGH, RTM_NEWNEIGH
from guestwire.picture import Value, fixed, passing

__all__ = ["Proxy"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Proxy(Thing):
    """An entry; `name` is "ADDRESS LINK". Its protocol (NDA_PROTOCOL) says guestwire, the state which project."""

    KIND: ClassVar[str] = "proxy"
    RANK: ClassVar[int] = 55
    DUMPED: ClassVar[bool] = True
    MARKED: ClassVar[bool] = False

    address: str = fixed("")
    link: str = fixed("")
    protocol: int = passing(PROTOCOL)

    @classmethod
    def on(cls, netns: str, link: str, address: str, owner: str | None, protocol: int = PROTOCOL) -> Proxy:
        """The entry by which a link answers for an address."""
        return cls(netns=netns, name=f"{address} {link}", owner=owner, address=address, link=link, protocol=protocol)

    @classmethod
    def dump(cls, kernel: Kernel, netns: str, links: Mapping[int, Thing]) -> list[Thing]:
        found: list[Thing] = []
        for entry in dump_neighbours(kernel.socket(netns), flags=NTF_PROXY):
            link = links.get(entry.ifindex)
            if link is not None:
                owner = link.owner if entry.protocol == PROTOCOL else None
                found.append(cls.on(netns, link.name, entry.address, owner, entry.protocol))
        return found

    def moved(self, old: str, new: str) -> Proxy | None:
        return replace(self, name=f"{self.address} {new}", link=new) if self.link == old else None

    @property
    def claimable(self) -> bool:
        return self.protocol == PROTOCOL

    def create(self, kernel: Kernel) -> None:
        kernel.send(self.netns, self._request(kernel, RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_EXCL))

    def change(self, kernel: Kernel, seen: Value) -> None:
        """An entry has no settings."""

    def delete(self, kernel: Kernel) -> None:
        kernel.send(self.netns, self._request(kernel, RTM_DELNEIGH, 0))

    def _request(self, kernel: Kernel, message: int, how: int) -> Request:
        index = kernel.index(self.netns, self.link)
        # Permanent, as `ip neigh add proxy` says: the entry outlives a carrier that comes and goes.
        body = neighbour(index, NUD_PERMANENT, NTF_PROXY, address=self.address, protocol=self.protocol)
        return Request(message, how, body)

    def on_links(self) -> tuple[tuple[str, str], ...]:
        return ((self.netns, self.link),)

    def _command(self, verb: str, *more: object) -> str:
        return ip(self.netns, "neighbour", verb, "proxy", self.address, "dev", self.link, *more)

    def create_commands(self) -> list[str]:
        return [self._command("add", *(["protocol", self.protocol] if self.protocol else []))]

    def change_commands(self, seen: Value) -> list[str]:
        return []

    def delete_commands(self) -> list[str]:
        return [self._command("delete")]
