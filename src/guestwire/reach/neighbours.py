"""The neighbour tables that probes fill: how much room there is, which entries a wave caused, and taking those back.

Linux keeps one table of neighbours a family for all namespaces together (`arp_tbl` and `nd_tbl`, net/ipv4/arp.c and
net/ipv6/ndisc.c), and its limits can be read and set in the initial namespace only. From gc_thresh2 entries on the
kernel throws out, at most every 5 s, what nobody used for 5 s, whose ever it is; at gc_thresh3 it refuses a new one
(`neigh_alloc` in net/core/neighbour.c). So waves are made to end below gc_thresh2.
"""

from __future__ import annotations

import errno
from collections.abc import Iterable, Set
from dataclasses import dataclass, field

from guestwire.linux.kernel import Kernel
from guestwire.linux.neighbours import NeighbourMessage, dump_neighbours, neighbour
from guestwire.linux.netlink import NetlinkError, Request
from guestwire.linux.routes import dump_routes
from guestwire.linux.rtnetlink import RTM_DELNEIGH
from guestwire.reach.station import Family

__all__ = ["Footprint", "Table", "next_hops", "read_table"]

# include/uapi/linux/neighbour.h
_NUD_INCOMPLETE, _NUD_REACHABLE, _NUD_FAILED, _NUD_NOARP, _NUD_PERMANENT = 0x01, 0x02, 0x20, 0x40, 0x80
_NTF_PROXY, _NTF_EXT_LEARNED = 0x08, 0x10


_ASSUMED = (512, 1024)  # the kernel's defaults (net/ipv4/arp.c); in a namespace of our own we can't see the real ones
_PARTS: dict[Family, tuple[str, str]] = {4: ("ipv4", "arp_cache"), 6: ("ipv6", "ndisc_cache")}
_MARGIN = 32  # entries left to whatever else goes on meanwhile


@dataclass(frozen=True)
class Table:
    """A family's neighbour table as seen now. `visible` is False where only the initial namespace could tell."""

    family: Family
    soft: int
    hard: int
    entries: int
    fulls: int
    """How often a neighbour was refused because the table was full, since boot."""
    visible: bool

    @property
    def room(self) -> int:
        """Entries that a wave may cause.

        At least half of gc_thresh2: much of a full table is groups and old entries, which make way for new ones.
        """
        return max(self.soft // 2, self.soft - self.entries - _MARGIN)

    @property
    def setting(self) -> str:
        """The sysctl that limits it."""
        return f"net.{_PARTS[self.family][0]}.neigh.default.gc_thresh3"


def read_table(family: Family) -> Table:
    """The table of a family, from /proc of the initial namespace; elsewhere the kernel's defaults are assumed."""
    part, cache = _PARTS[family]
    try:
        soft, hard = (_read(f"/proc/sys/net/{part}/neigh/default/gc_thresh{n}") for n in (2, 3))
        entries, fulls = _statistics(f"/proc/net/stat/{cache}")
    except (OSError, ValueError):
        return Table(family, *_ASSUMED, 0, 0, False)
    return Table(family, soft, hard, entries, fulls, True)


def _read(path: str) -> int:
    with open(path, encoding="ascii") as file:
        return int(file.read())


def _statistics(path: str) -> tuple[int, int]:
    # neigh_stat_seq_show: a line a CPU, in hexadecimal; `entries` is the table's on each, the counters the CPU's own.
    with open(path, encoding="ascii") as file:
        heading, *lines = (line.split() for line in file)
    place = heading.index("table_fulls")
    return int(lines[0][heading.index("entries")], 16), sum(int(line[place], 16) for line in lines)


@dataclass
class Footprint:
    """The entries of some namespaces before a wave, so that afterwards its own can be told from those.

    An entry is the wave's where it is new, dynamic, and of an address that takes part: a station's, a router's that a
    route names, a link-local one, or a solicited-node group.
    """

    kernel: Kernel
    namespaces: tuple[str, ...]
    addresses: Set[str]
    resolved: dict[str, str] = field(default_factory=dict)
    """Addresses of the wave's and the MACs that they answered with, known after `take_back`."""
    _before: dict[str, set[tuple[int, str]]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        # One that never resolved is nobody's loss; kept, it would be taken for an older one when a later wave resolves
        # it.
        for netns in self.namespaces:
            self._before[netns] = {
                (entry.ifindex, entry.address)
                for entry in dump_neighbours(self.kernel.socket(netns))
                if not entry.state & (_NUD_INCOMPLETE | _NUD_FAILED)
            }

    def take_back(self) -> set[tuple[str, str]]:
        """Delete the wave's entries; returns the (namespace, address) of neighbours that didn't answer.

        Raises OSError where the kernel refuses to read or delete; an entry that is gone already is no error.
        """
        unresolved: set[tuple[str, str]] = set()
        for netns in self.namespaces:
            sock = self.kernel.socket(netns)
            before = self._before[netns]
            doomed = []
            for entry in dump_neighbours(sock):
                if entry.state & (_NUD_INCOMPLETE | _NUD_FAILED):
                    unresolved.add((netns, entry.address))
                if (entry.ifindex, entry.address) not in before and self._ours(entry):
                    doomed.append(_delete(entry))
                    if entry.state & _NUD_REACHABLE:
                        self.resolved[entry.address] = entry.mac
            _all_gone(sock.transact(doomed) if doomed else ())
        return unresolved

    def _ours(self, entry: NeighbourMessage) -> bool:
        if entry.state & _NUD_PERMANENT or entry.flags & (_NTF_PROXY | _NTF_EXT_LEARNED):
            return False
        address = entry.address
        if entry.state & _NUD_NOARP:
            return address.startswith("ff02::1:ff")
        return address in self.addresses or address.startswith("fe80:")


def _all_gone(refused: Iterable[NetlinkError]) -> None:
    for error in refused:
        if error.errno != errno.ENOENT:
            raise error


def _delete(entry: NeighbourMessage) -> Request:
    return Request(RTM_DELNEIGH, 0, neighbour(entry.ifindex, address=entry.address))


def next_hops(kernel: Kernel, netns: str) -> frozenset[str]:
    """The routers that the main table of a namespace names; raises OSError where it can't be read."""
    return frozenset(route.gateway for route in dump_routes(kernel.socket(netns)) if route.gateway)
