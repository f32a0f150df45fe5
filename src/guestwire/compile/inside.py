"""What a guest with a namespace has on its NICs: addresses, default routes, DHCP clients; whoever keeps it."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import ip_address, ip_interface

from guestwire.compile.parts import BuiltNetwork
from guestwire.compile.site import Seat, Site
from guestwire.kinds.address import Address
from guestwire.kinds.dhcp import DhcpClient
from guestwire.kinds.route import Route

__all__ = ["DEFAULTS", "add_addresses", "ask_servers", "default_routes", "gateway_of"]

BEFORE_ADVERTISED = 512
"""The metric of a guest's IPv6 default route where routers advertise another, which the kernel gives 1,024."""
DEFAULTS = {4: "0.0.0.0/0", 6: "::/0"}


def add_addresses(site: Site, seat: Seat) -> None:
    """Add the addresses of a NIC."""
    site.add(*(Address.on(seat.netns, seat.link, address, site.project) for address in seat.addresses))


def ask_servers(site: Site, name: str, seats: list[Seat], led: Iterable[Seat | None], resolv: str) -> None:
    """Add a DHCP client for each NIC that asks: one in `led` sets the default route, the first writes `resolv`."""
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
                )
            )
            resolv = ""


def default_routes(site: Site, netns: str, seats: list[Seat]) -> list[Seat | None]:
    """Add a default route of each family; the NICs that are to get theirs with their lease."""
    return [_default_route(site, netns, seats, version) for version in DEFAULTS]


def _default_route(site: Site, netns: str, seats: list[Seat], version: int) -> Seat | None:
    """One default route a family: by the NIC that says so, else by the first that has an address and a gateway.

    What is returned is the NIC that is to get it with its lease.
    """
    for seat in sorted(seats, key=lambda seat: seat.nic.default_route is not True):
        gateway = gateway_of(site, seat, version)
        if seat.nic.default_route is False:
            continue
        if seat.dhcp and version == 4:
            return seat
        if gateway is not None:
            network = site.file.networks[seat.nic.network]
            onlink = version == 4 and isinstance(network, BuiltNetwork) and network.alone
            metric = BEFORE_ADVERTISED if version == 6 and _hears_routers(site, seats) else None
            route = Route.to(netns, DEFAULTS[version], seat.link, site.project, gateway, onlink=onlink, metric=metric)
            site.add(route)
            return None
    return None


def gateway_of(site: Site, seat: Seat, version: int) -> str | None:
    """Where a NIC's default route would lead; None where nowhere. What is wrong with the file is refused."""
    given = [str(address) for address in seat.nic.gateway or () if address.version == version]
    if not any((6 if ":" in address else 4) == version for address in seat.addresses):
        if given and seat.dhcp and version == 4:
            message = f"gateway {given[0]} has no address to go with: the server that lends one names the gateway."
            site.refuse(seat.nic.at("gateway"), message, "Leave gateway out, or give an address.")
        return None
    network = site.file.networks[seat.nic.network]
    assert isinstance(network, BuiltNetwork)
    if not given:
        return network.gateway_of(site, version)
    nets = [ip_interface(each).network for each in seat.addresses if (6 if ":" in each else 4) == version]
    if not any(ip_address(given[0]) in net for net in nets):
        message = f"gateway {given[0]} is outside {' and '.join(map(str, nets))}: the guest couldn't reach it."
        site.refuse(seat.nic.at("gateway"), message, "Use that of a router on the network.")
    return given[0]


def _hears_routers(site: Site, seats: list[Seat]) -> bool:
    """Whether a router's advertisement may come by one of the NICs: from a network's own server, or on a real LAN."""
    networks = (site.file.networks[seat.nic.network] for seat in seats)
    return any(n.name_servers() or (n.uplink and not site.lab) for n in networks if isinstance(n, BuiltNetwork))
