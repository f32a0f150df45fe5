"""What a guest with a namespace has on its NICs: addresses, default routes, DHCP clients; whoever keeps it."""

from __future__ import annotations

from collections.abc import Iterable

from guestwire.compile.leading import leading, to_networks
from guestwire.compile.parts import BuiltNetwork
from guestwire.compile.site import Seat, Site
from guestwire.kinds.address import Address
from guestwire.kinds.dhcp import DhcpClient
from guestwire.kinds.route import Route
from guestwire.linux.routes import DEFAULTS

__all__ = ["add_addresses", "add_routes", "ask_servers"]

BEFORE_ADVERTISED = 512
"""The metric of a guest's IPv6 default route where routers advertise another, which the kernel gives 1,024."""


def add_addresses(site: Site, seat: Seat) -> None:
    """Add the addresses of a NIC."""
    site.add(*(Address.on(seat.netns, seat.link, address, site.project) for address in seat.addresses))


def ask_servers(
    site: Site, name: str, seats: list[Seat], led: Iterable[Seat | None], resolv: str, keeper: int = 0
) -> None:
    """Add a DHCP client for each NIC that asks: one in `led` sets the default route, the first writes `resolv`.

    They end with the process `keeper`, where the namespace is there for one.
    """
    led = list(led)
    for seat in seats:
        if seat.dhcp:
            site.add(
                DhcpClient.on(
                    seat.netns,
                    seat.link,
                    site.pidfile(f"client-{name}.{seat.link}"),
                    owner=site.project,
                    mac=seat.mac,
                    hostname=name,
                    default=any(seat is each for each in led),
                    resolv=resolv,
                    keeper=keeper,
                )
            )
            resolv = ""


def add_routes(site: Site, netns: str, seats: list[Seat], asking: list[Seat]) -> list[Seat | None]:
    """Add a default route of each family by one of the NICs that are `asking` for it, and those to networks.

    Returns the NICs that are to get their default route with their lease.
    """
    return [_routes(site, netns, seats, asking, version) for version in DEFAULTS]


def _routes(site: Site, netns: str, seats: list[Seat], asking: list[Seat], version: int) -> Seat | None:
    """Add the routes of a family; the NIC that is to get its default route with its lease."""
    way = leading(site, asking, version)
    for each in to_networks(site, seats, version, way):
        site.add(Route.to(netns, each.to, each.seat.link, site.project, each.gateway, onlink=each.onlink))
    if way is None or way.gateway is None:
        return way.seat if way else None
    metric = BEFORE_ADVERTISED if version == 6 and _hears_routers(site, seats) else None
    gateway = way.gateway or None
    site.add(Route.to(netns, DEFAULTS[version], way.seat.link, site.project, gateway, onlink=way.onlink, metric=metric))
    return None


def _hears_routers(site: Site, seats: list[Seat]) -> bool:
    """Whether a router's advertisement may come by one of the NICs: from a network's own server, or on a real LAN."""
    networks = (site.file.networks[seat.nic.network] for seat in seats)
    return any(n.name_servers() or (n.uplink and not site.lab) for n in networks if isinstance(n, BuiltNetwork))
