"""Builds what is around a copy of a host: behind each link that leads out, those whom the host knows there.

    beyond (name servers, …) ── gateway ──┐
                            neighbour ────┼── the other end of the cable ── the host's link
                            neighbour ────┘

All behind one link is one namespace. Each neighbour is a macvlan there, with the MAC that the host knows for it, so
entries that are set for good, and filters that name it, hold. What is beyond a gateway lies on that namespace's lo.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_interface, ip_network
from typing import NamedTuple

from guestwire.kinds import Link, Thing
from guestwire.kinds.address import Address
from guestwire.kinds.bridge import Bridge
from guestwire.kinds.child import Child
from guestwire.kinds.macvlan import Macvlan
from guestwire.kinds.mark import derived_mac
from guestwire.kinds.namespace import Namespace
from guestwire.kinds.nic import Nic
from guestwire.kinds.route import AnyRoute, Route
from guestwire.kinds.sysctl import Sysctl
from guestwire.kinds.veth import Veth
from guestwire.lab.parts import dhcp_server
from guestwire.observe.whole import Known, Whole

__all__ = ["Door", "Outside"]

Net = IPv4Network | IPv6Network
MOST = 64  # neighbours behind one link that are played
SHARED = ".:outside"  # no link's name has a colon
RUN = "/run/.outside"
LEASES = 16
LAST = 1 << 16  # a metric behind all others
QUIET = {
    # Each neighbour answers for its own addresses only, though all are in one namespace, and by whichever link.
    "net/ipv4/conf/all/arp_ignore": "1",
    "net/ipv4/conf/all/rp_filter": "0",
    "net/ipv4/conf/default/rp_filter": "0",
    "net/ipv6/conf/default/accept_dad": "0",
    "net/ipv6/conf/default/accept_ra": "0",
}


@dataclass(eq=False)
class Door:
    """A link that leads out, and where the other end of its cable is; whom the host knows behind it, by their MACs."""

    link: Link
    netns: str
    name: str
    stations: dict[str, list[str]] = field(default_factory=dict)
    beyond: list[str] = field(default_factory=list)
    routes: set[str] = field(default_factory=set)
    lease: tuple[str, tuple[str, str, str], str | None] | None = None
    """An address for who gives leases, the span that it gives out of, and the gateway."""

    @property
    def end(self) -> Veth:
        """The other end. Without a carrier on the real link, it is down."""
        carrier = self.link.carrier or not self.link.up
        peer = self.link.netns, self.link.name
        mac = derived_mac(SHARED, self.netns, self.name)
        return Veth(netns=self.netns, name=self.name, peer=peer, mac=mac, mtu=self.link.mtu, up=carrier, far=True)

    def around(self) -> Iterator[Thing]:
        """All that is behind it, the other end included."""
        yield self.end
        if self.netns == SHARED:
            return
        yield from (Sysctl(netns=self.netns, name=name, content=content) for name, content in QUIET.items())
        for number, (mac, addresses) in enumerate(self.stations.items()):
            link = f"n{number}" if mac else self.name
            if mac:
                parent = self.netns, self.name
                yield Macvlan(netns=self.netns, name=link, parent=parent, mode="bridge", mac=mac, link_local=True)
            own = _link_local(mac)
            yield from (Address.on(self.netns, link, a, None) for a in addresses if a != own)
        yield from (Address.on(self.netns, "lo", f"{a}/{ip_address(a).max_prefixlen}", None) for a in self.beyond)
        yield from (Route.to(self.netns, net, self.name, None, metric=LAST) for net in sorted(self.routes))
        if self.lease:
            address, span, gateway = self.lease
            yield Address.on(self.netns, self.name, address, None)
            yield dhcp_server(self.netns, self.name, f"{RUN}/dhcp-{self.name}.pid", span, gateway, None)


class _Way(NamedTuple):
    """A next hop of a route of the host's."""

    net: Net
    metric: int
    link: str
    gateway: str | None


class Outside:
    """What is around the copy of a host behind its `doors`.

    `asked` are addresses that must answer, `lend` the links of the host's behind which leases are given.
    """

    def __init__(
        self, whole: Whole, doors: Iterable[Link], taken: set[str], asked: Iterable[str], lend: Iterable[str]
    ) -> None:
        self.whole = whole
        self.taken = taken
        """MACs and addresses that are in the copy itself, or are to come there: nobody outside has them."""
        self.links: Mapping[str, Link] = {link.name: link for link in whole.picture.of(Link, whole.host)}
        self.addresses = [a for a in whole.picture.of(Address, whole.host) if a.link in self.links]
        self.ways = [way for route in whole.picture.of(AnyRoute, whole.host) for way in _ways(route)]
        self.left_out: dict[str, int] = {}
        self.doors: dict[tuple[str, str], Door] = {}
        for number, link in enumerate(doors):
            self.doors[link.netns, link.name] = Door(link, SHARED, f"p{number}")
        for known in whole.neighbours:
            self._settle(known)
        for way in self.ways:
            if way.gateway:
                self._settle(Known(way.link, way.gateway, "", ""))
        for address in dict.fromkeys(asked):
            self._put_beyond(address)
        lenders = [self._door(link, "") for link in lend]
        for door in self.doors.values():
            self._open(door, leases=door in lenders)

    def picture(self) -> Iterator[Thing]:
        """All of it."""
        for netns in dict.fromkeys(door.netns for door in self.doors.values()):
            yield Namespace.named(netns, None)
        for door in self.doors.values():
            yield from door.around()

    def places(self) -> dict[str, str]:
        """In which namespace each of the addresses outside is."""
        return {
            address.partition("/")[0]: door.netns
            for door in self.doors.values()
            for address in (*door.beyond, *(each for addresses in door.stations.values() for each in addresses))
        }

    def told(self) -> Iterator[tuple[str, str]]:
        """What is make-believe about it."""
        for door in self.doors.values():
            name, there = door.link.name, sum(map(len, door.stations.values()))
            if door.netns != SHARED:
                yield f"the LAN behind {name}", f"make-believe, with the addresses that the host knows there ({there})"
            if door.lease:
                yield f"DHCP behind {name}", f"a make-believe server gives {door.lease[1][0]} to {door.lease[1][1]}"
        for name, number in self.left_out.items():
            yield f"{number} more neighbours behind {name}", f"{MOST} are played"

    def _settle(self, known: Known) -> None:
        """Have a neighbour that the host knows live behind the link that leads to it."""
        door = self._door(known.link, known.port)
        mac = known.mac if known.mac and not int(known.mac[:2], 16) & 1 and int(known.mac.replace(":", ""), 16) else ""
        if door is None or not self.taken.isdisjoint({known.address, mac} - {""}):
            return
        interface = f"{known.address}/{self._prefix(known.link, known.address)}"
        if any(interface in addresses for addresses in door.stations.values()):
            return
        if mac not in door.stations and len(door.stations) >= MOST:
            self.left_out[door.link.name] = self.left_out.get(door.link.name, 0) + 1
            return
        door.stations.setdefault(mac, []).append(interface)

    def _put_beyond(self, address: str) -> None:
        """Have an address answer: behind the gateway that leads to it, or on the LAN that it is on."""
        if address in self.taken or ip_address(address).is_loopback:
            return
        link, gateway = self._way(address)
        door = self._door(link, "") if link else None
        if link and door is not None and gateway is None:
            self._settle(Known(link, address, "", ""))
        elif door is not None:
            door.beyond.append(address)

    def _way(self, address: str) -> tuple[str | None, str | None]:
        """By which link the host reaches an address, and by which gateway; the longest prefix decides."""
        wanted = ip_address(address)
        straight = [_Way(_segment(own), 0, own.link, None) for own in self.addresses]
        found = [way for way in (*straight, *self.ways) if wanted in way.net]
        best = min(found, key=lambda way: (-way.net.prefixlen, way.metric), default=None)
        return (best.link, best.gateway) if best else (None, None)

    def _door(self, name: str, port: str) -> Door | None:
        """The door that a link of the host's leads to: itself, its parent's, a port's of a bridge."""
        host = self.whole.host
        if (host, name) in self.doors:
            return self.doors[host, name]
        link = self.links.get(name)
        if isinstance(link, Child) and link.parent and link.parent[0] == host:
            return self._door(link.parent[1], "")
        if not isinstance(link, Bridge):
            return None
        if port:
            return self.doors.get((host, port))
        ports = [d for d in self.doors.values() if d.link.netns == host and d.link.master == name]
        return min(ports, key=lambda door: not isinstance(door.link, Nic), default=None)

    def _on(self, door: Door) -> list[Address]:
        """The host's own addresses on the segment behind a door."""
        return [a for a in self.addresses if self._door(a.link, "") is door and not _is_link_local(a.address)]

    def _prefix(self, link: str, address: str) -> int:
        wanted = ip_address(address)
        if _is_link_local(address):
            return 64 if wanted.version == 6 else 16
        inside = (a.prefix for a in self.addresses if a.link == link and wanted in _segment(a))
        return next(inside, wanted.max_prefixlen)

    def _open(self, door: Door, *, leases: bool) -> None:
        """Give a door a namespace of its own where anybody is behind it, and the ways back from there."""
        own = self._on(door)
        if not (door.stations or door.beyond or (leases and own)):
            return
        door.netns, door.name = f".{door.link.name}", door.link.name
        theirs = [ip_interface(each) for addresses in door.stations.values() for each in addresses]
        for net in {_segment(a) for a in own}:
            if not any(each.ip in net and each.network.prefixlen == net.prefixlen for each in theirs):
                door.routes.add(str(net))
            if leases and net.version == 4 and door.lease is None:
                door.lease = self._lease(net, own, [str(each.ip) for each in theirs])

    def _lease(
        self, net: Net, own: list[Address], theirs: list[str]
    ) -> tuple[str, tuple[str, str, str], str | None] | None:
        """Out of what leases are given on a LAN: the last addresses of which nobody is known to have one."""
        taken = {ip_address(a) for a in (*self.taken - _macs(self.taken), *theirs, *(a.address for a in own))}
        gateway = next((way.gateway for way in self.ways if way.gateway and ip_address(way.gateway) in net), None)
        for last in range(net.num_addresses - 2, LEASES, -LEASES):
            span = [net[number] for number in range(last - LEASES + 1, last + 1)]
            if taken.isdisjoint(span):
                return f"{span[-1]}/{net.prefixlen}", (str(span[0]), str(span[-2]), str(net.netmask)), gateway
        return None


def _ways(route: AnyRoute) -> Iterator[_Way]:
    net = ip_network(route.destination)
    for link, gateway in [(route.link, route.gateway), *((hop.link, hop.gateway) for hop in route.hops or ())]:
        if link:
            yield _Way(net, route.metric, link, gateway)


def _segment(own: Address) -> Net:
    """The network that is straight on the link of one of the host's addresses: its own, or its peer's."""
    return ip_network(f"{own.peer or own.address}/{own.prefix}", strict=False)


def _macs(words: set[str]) -> set[str]:
    return {word for word in words if word.count(":") == 5 and len(word) == 17}


def _is_link_local(address: str) -> bool:
    return ip_address(address).is_link_local


def _link_local(mac: str) -> str:
    """The address that the kernel makes of a MAC by itself (EUI-64, RFC 4291), with its prefix."""
    if not mac:
        return ""
    raw = bytearray.fromhex(mac.replace(":", ""))
    raw[0] ^= 2
    whole = b"\xfe\x80" + bytes(6) + bytes(raw[:3]) + b"\xff\xfe" + bytes(raw[3:])
    return f"{ip_address(whole)}/64"
