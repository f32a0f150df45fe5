"""A route of another table than main, to which packets are led by a rule: `ip route show table all` shows them.

The kernel keeps a table of its own, local (255), with what it makes of each address; that isn't a value here, but what
somebody has put there is. All are read only where somebody asks.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from guestwire.kinds.route import AnyRoute, told_apart
from guestwire.kinds.thing import Thing
from guestwire.linux.kernel import Kernel
from guestwire.linux.routes import dump_routes

__all__ = ["TableRoute"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class TableRoute(AnyRoute):
    """A route of another table, which packets are led to by a rule."""

    KIND: ClassVar[str] = "table route"
    DUMPED: ClassVar[bool] = True
    MARKED: ClassVar[bool] = False

    @classmethod
    def dump(cls, kernel: Kernel, netns: str, links: Mapping[int, Thing]) -> list[Thing]:
        names = {number: link.name for number, link in links.items()}
        told = dump_routes(kernel.socket(netns), main=False)
        return [*told_apart(cls._seen(netns, names.get(seen.oif, ""), None, seen, names) for seen in told)]
