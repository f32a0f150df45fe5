"""What a guest with a namespace has on its NICs: addresses, default routes, DHCP clients; whoever keeps it."""

from __future__ import annotations

from collections.abc import Iterable

from guestwire.compile.leading import leading
from guestwire.compile.parts import BuiltNetwork
from guestwire.compile.site import Seat, Site
from guestwire.kinds.address import Address
from guestwire.kinds.dhcp import DhcpClient
from guestwire.kinds.route import Route

__all__ = ["DEFAULTS", "add_addresses", "ask_servers", "default_routes"]

BEFORE_ADVERTISED = 512
"""The metric of a guest's IPv6 default route where routers advertise another, which the kernel gives 1,024."""
DEFAULTS = {4: "0.0.0.0/0", 6: "::/0"}


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


def default_routes(site: Site, netns: str, seats: list[Seat]) -> list[Seat | None]:
    """Add a default route of each family; the NICs that are to get theirs with their lease."""
    return [_default_route(site, netns, seats, version) for version in DEFAULTS]


def _default_route(site: Site, netns: str, seats: list[Seat], version: int) -> Seat | None:
    """Add the default route of a family; the NIC that is to get it with its lease."""
    way = leading(site, seats, version)
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
