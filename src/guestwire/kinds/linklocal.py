"""The IPv6 link-local address that the kernel gives a link by itself, and which neighbours know the link by.

It is made of the link's MAC, or of a secret (net/ipv6/addrconf.c, addrconf_addr_gen), as the link's `addrgenmode` says.
A link that goes up gets its own without anybody's doing, so these aren't in a picture unless somebody asks: who moves a
host's addresses to another link. There it is the same, since the link has the same MAC.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from guestwire.kinds.address import KERNEL_LINK_LOCAL, AnyAddress
from guestwire.kinds.thing import Thing
from guestwire.linux.kernel import Kernel
from guestwire.linux.rtnetlink import dump_addresses

__all__ = ["LinkLocal"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class LinkLocal(AnyAddress):
    """A link-local address of the kernel's; `name` is "ADDRESS/64 LINK"."""

    KIND: ClassVar[str] = "link-local address"
    DUMPED: ClassVar[bool] = True
    MARKED: ClassVar[bool] = False

    @classmethod
    def dump(cls, kernel: Kernel, netns: str, links: Mapping[int, Thing]) -> list[Thing]:
        return [
            cls._seen(netns, link.name, None, seen)
            for seen in dump_addresses(kernel.socket(netns))
            if seen.protocol == KERNEL_LINK_LOCAL and (link := links.get(seen.ifindex))
        ]
