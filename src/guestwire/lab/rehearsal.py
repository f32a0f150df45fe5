"""Builds the copy of a host for a rehearsal: the picture that was read of it, made anew as far as that can be.

What is virtual is made as it is. A NIC, and a link of a kind that guestwire can't make, is one end of a cable; the
other, and that of a cable whose other end lies in a namespace that wasn't read, is outside (`outside.py`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from guestwire.kinds import Link, Thing
from guestwire.kinds.address import Address
from guestwire.kinds.bridge import Bridge
from guestwire.kinds.cable import Cable
from guestwire.kinds.child import Child
from guestwire.kinds.dhcp import DhcpClient
from guestwire.kinds.fdb import Fdb
from guestwire.kinds.namespace import Namespace
from guestwire.kinds.nic import Nic
from guestwire.kinds.route import AnyRoute
from guestwire.kinds.tap import Tap
from guestwire.kinds.veth import Veth
from guestwire.lab.outside import Outside
from guestwire.observe.observe import UNKNOWN
from guestwire.observe.whole import Whole
from guestwire.picture import Picture

__all__ = ["Copy"]

LO = "lo"


class Copy:
    """A host's copy. `host` is the picture of the host, `around` that of what is outside.

    `wanted` is what the file makes of the host, by the links `uplinks`. `asked` are addresses that must answer: name
    servers, who is logged in. `held` says which programs hold taps.
    """

    def __init__(
        self,
        whole: Whole,
        wanted: Picture,
        uplinks: Iterable[str],
        asked: Iterable[str],
        held: Mapping[str, str],
    ) -> None:
        self.whole = whole
        self.held = held
        self.missing: list[tuple[str, str]] = []
        """What couldn't be copied, each with what that means."""
        links = {(link.netns, link.name): self._link(link) for link in whole.picture.of(Link)}
        outside = Outside(
            whole,
            [link for link in links.values() if _leads_out(link)],
            _names(whole.picture, addresses=True) | _names(wanted, addresses=False),
            asked,
            uplinks if wanted.of(DhcpClient) else (),
        )
        ends = {place: (door.netns, door.name) for place, door in outside.doors.items()}
        self.host = Picture(scope=whole.picture.scope)
        for value in sorted(whole.picture, key=_after_its_gateway):
            if isinstance(value, Link):
                self.host.add(_plugged(links[value.netns, value.name], ends))
            elif isinstance(value, Thing) and _has_a_place(value, links):
                self.host.add(value)
                if why := value.uncarried():
                    self.missing.append((f"{value.KIND} {value.name}", why))
        self.around = Picture(outside.picture())
        self.around.add(*whole.loopback)
        self.places = outside.places()
        """In which namespace outside who has which address is."""
        self._tell(outside)

    @property
    def namespaces(self) -> list[str]:
        """The names of all namespaces of it but the host's."""
        names = [value.name for picture in (self.host, self.around) for value in picture.of(Namespace)]
        return [name for name in names if name != self.whole.host]

    def _link(self, link: Link) -> Link:
        """A link as it can be made."""
        masters = {(bridge.netns, bridge.name) for bridge in self.whole.picture.of(Bridge)}
        if link.master and (link.netns, link.master) not in masters:
            self.missing.append((f"{link.name}, a port of {link.master}", "in the copy it stands by itself"))
            link = replace(link, master="", port=None)
        if isinstance(link, Child) and (link.parent is None or link.parent[0] == UNKNOWN):
            self.missing.append((f"{link.device} {link.name}", "its parent can't be seen; a plain link stands for it"))
            return _stand_in(link, link.device)
        if isinstance(link, Bridge) and link.stp:
            self.missing.append((f"STP of bridge {link.name}", "it is off: new ports would wait for half a minute"))
            return replace(link, stp=False)
        if isinstance(link, Nic) and link.kernel_kind:
            self.missing.append((f"{link.kernel_kind} {link.name}", "a plain link stands for it"))
        return replace(link, mac=link.mac or None) if isinstance(link, Nic) else link

    def _tell(self, outside: Outside) -> None:
        """Note what couldn't be copied, and what that means for the rehearsal."""
        seen, say = self.whole.census, self.missing.append
        self.missing += self.whole.unread
        for link in self.whole.picture.of(Nic):
            if link.wireless:
                say((f"Wi-Fi of {link.name}", "a plain cable stands for it, which passes every MAC"))
            elif not link.kernel_kind:
                say((f"hardware of {link.name}", "offloads, queues and speed are a veth's"))
        cabled = {cable.end[:2] for cable in self.whole.picture.of(Cable) if cable.end}
        for tap in self.whole.picture.of(Tap, self.whole.host):
            if tap.name in self.held and (tap.netns, tap.name) not in cabled:
                say((f"what is behind {tap.label()} {tap.name}", f"nobody answers for {self.held[tap.name]}"))
        self.missing += outside.told()
        for name, what in seen.bridges:
            say((f"{what} on bridge {name}", "it is as a new bridge has it"))
        for name, kind in seen.queueing:
            say((f"qdisc {kind} of {name}", "with its classes and filters"))
        for name in seen.xdp:
            say((f"XDP program of {name}", "every frame gets past it"))
        for table in seen.legacy:
            say((f"{table} (iptables-legacy)", "its rules stop nothing in the copy"))
        if seen.ipsec:
            say((f"{seen.ipsec} IPsec policies and associations", "traffic goes unencrypted, or not at all"))
        if seen.connections:
            say((f"{seen.connections:,} connections that conntrack knows", "whether they survive isn't seen"))
        if seen.established:
            say((f"{seen.established:,} TCP connections", "whether they survive isn't seen"))
        ports = sorted({listener.port for listener in seen.listeners if listener.protocol == "udp"})
        if ports:
            many = f"UDP port{'s' if len(ports) > 1 else ''} {', '.join(map(str, ports))}"
            say((f"who serves {many}", "nobody answers there in the copy; of TCP, ports that are open are open there"))


def _has_a_place(value: Thing, links: Mapping[tuple[str, str], Link]) -> bool:
    """Whether the links that it is on are in the copy; a forwarding entry wants a port."""
    if not links.keys() >= {place for place in value.on_links() if place[1] != LO}:
        return False
    return not isinstance(value, Fdb) or bool(links[value.netns, value.link].master)


def _leads_out(link: Link) -> bool:
    return isinstance(link, Nic) or (isinstance(link, Veth) and link.peer is not None and link.peer[0] == UNKNOWN)


def _plugged(link: Link, ends: Mapping[tuple[str, str], tuple[str, str]]) -> Link:
    """A link that leads out, with the other end of its cable."""
    end = ends.get((link.netns, link.name))
    if isinstance(link, Nic):
        return replace(link, stand_in=end)
    return replace(link, peer=end, far=False) if isinstance(link, Veth) and end else link


def _stand_in(link: Link, kind: str) -> Nic:
    names = ("netns", "name", "owner", "mac", "mtu", "up", "master", "port", "long", "link_local", "index", "carrier")
    return Nic(**{name: getattr(link, name) for name in names}, kernel_kind=kind)


def _after_its_gateway(value: object) -> bool:
    """Routes that lead straight on come first: by them the kernel finds the gateways of the others."""
    return isinstance(value, AnyRoute) and bool(value.gateway or value.hops)


def _names(picture: Picture, *, addresses: bool) -> set[str]:
    """The MACs, and with `addresses` those, that are in a picture."""
    return set(_named(picture, addresses))


def _named(picture: Picture, addresses: bool) -> Iterator[str]:
    yield from (link.mac for link in picture.of(Link) if link.mac)
    yield from (address.address for address in picture.of(Address) if addresses)
