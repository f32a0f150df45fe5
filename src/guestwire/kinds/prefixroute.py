"""The IPv6 route to a prefix that a router advertises, which the kernel makes, and leaves where its address goes.

With an address of that prefix the kernel makes it by itself; where the router says that there are none to be made, it
stands alone. Left on a link that became a port it would lead packets to where no answer comes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from guestwire.kinds.route import AnyRoute
from guestwire.kinds.thing import Thing, ip
from guestwire.linux.kernel import Kernel
from guestwire.linux.rtnetlink import dump_routes

__all__ = ["PrefixRoute"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class PrefixRoute(AnyRoute):
    """The route to a prefix that a router advertises, which the kernel makes, and leaves where its address goes."""

    KIND: ClassVar[str] = "prefix route"
    DUMPED: ClassVar[bool] = True
    MARKED: ClassVar[bool] = False

    @classmethod
    def dump(cls, kernel: Kernel, netns: str, links: Mapping[int, Thing]) -> list[Thing]:
        names = {number: link.name for number, link in links.items()}
        told = (seen for seen in dump_routes(kernel.socket(netns), kernel=True) if seen.cache)
        found = (cls._seen(netns, names.get(seen.oif, ""), None, seen, names) for seen in told)
        return [route for route in found if route.until is not None and route.link]

    def create(self, kernel: Kernel) -> None:
        """Make it, where an address hasn't brought it along."""
        number = kernel.index(self.netns, self.link or "")
        kernel.flush()
        sock = kernel.socket(self.netns)
        there = [*dump_routes(sock), *dump_routes(sock, kernel=True)]
        if all((f"{r.destination}/{r.prefix}", r.oif) != (self.destination, number) for r in there):
            super(PrefixRoute, self).create(kernel)

    def create_commands(self) -> list[str]:
        there = ip(self.netns, "-6", "route", "show", self.destination, "dev", self.link)
        return [f"{there} | grep -q . || {self._command('append')}"]
