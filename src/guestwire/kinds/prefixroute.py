"""The IPv6 route to a prefix that a router advertises, which the kernel makes, and leaves where its address goes.

With an address of that prefix the kernel makes it by itself; where the router says that there are none to be made, it
stands alone. Left on a link that became a port it would lead packets to where no answer comes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_interface
from socket import AF_INET6
from typing import ClassVar

from guestwire.kinds.address import FOREVER
from guestwire.kinds.route import AnyRoute
from guestwire.kinds.thing import Thing
from guestwire.linux.kernel import Kernel
from guestwire.linux.routes import dump_routes
from guestwire.linux.rtnetlink import dump_addresses

__all__ = ["PrefixRoute"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class PrefixRoute(AnyRoute):
    """The route to a prefix that a router advertises, which the kernel makes, and leaves where its address goes."""

    KIND: ClassVar[str] = "prefix route"
    RANK: ClassVar[int] = 48
    """Before the routes whose gateways it leads to."""
    DUMPED: ClassVar[bool] = True
    MARKED: ClassVar[bool] = False

    @classmethod
    def dump(cls, kernel: Kernel, netns: str, links: Mapping[int, Thing]) -> list[Thing]:
        """Those that have a lifetime, or would get one where the lasting address that they come from is taken away."""
        sock, names = kernel.socket(netns), {number: link.name for number, link in links.items()}
        passing = [
            (a.ifindex, ip_interface(f"{a.local}/{a.prefix}")) for a in dump_addresses(sock) if a.valid != FOREVER
        ]
        prefixes = {(index, str(address.network)) for index, address in passing}
        found: list[Thing] = []
        for seen in dump_routes(sock, kernel=True):
            if seen.family == AF_INET6 and seen.oif in names:
                route = cls._seen(netns, names[seen.oif], None, seen, names)
                if route.until is not None or (seen.oif, route.destination) in prefixes:
                    found.append(route)
        return found
