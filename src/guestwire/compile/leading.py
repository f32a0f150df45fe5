"""Where a guest's routes lead: at most one default route a family, by one of its NICs, and what else it can't tell."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from ipaddress import ip_address, ip_interface
from typing import NamedTuple

from guestwire.compile.parts import BuiltNetwork
from guestwire.compile.site import Seat, Site

__all__ = ["Way", "gateway_of", "leading", "to_networks"]


class Way(NamedTuple):
    """The NIC that a route goes by, and its gateway: None where the lease tells it, "" where it needs none."""

    seat: Seat
    gateway: str | None = None
    onlink: bool = False
    """Whether the gateway lies beyond the guest's own subnet."""
    to: str = ""
    """The subnet that it leads to; "" for all, as a default route does."""


def leading(site: Site, seats: Sequence[Seat], version: int) -> Way | None:
    """A guest's default route of a family: by the NIC that says so, else by the first that has address and gateway."""
    for seat in sorted(seats, key=lambda seat: seat.nic.default_route is not True):
        gateway = gateway_of(site, seat, version)
        if seat.nic.default_route is False:
            continue
        if seat.dhcp and version == 4:
            return Way(seat)
        if gateway is not None:
            return Way(seat, gateway, onlink=version == 4 and _is_alone(site, seat))
    return None


def to_networks(site: Site, seats: Sequence[Seat], version: int, default: Way | None) -> Iterator[Way]:
    """The ways to networks that the default route goes by another NIC than theirs, and no address tells of.

    Alone on its cable, a NIC has an address that no other is in one subnet with.
    """
    if len(seats) == 1 and (default or not _is_alone(site, seats[0])):
        return
    networks = {seat.nic.network: seat for seat in reversed(seats)}  # of several NICs the first
    for name, seat in networks.items():
        network = site.file.networks[name]
        assert isinstance(network, BuiltNetwork)
        if not network.alone or (default and default.seat.nic.network == name) or not _has(seat, version):
            continue
        gateway = network.gateway_of(site, version)
        for net in network.subnet:
            if net.version == version:
                yield Way(seat, gateway, onlink=version == 4, to=str(net))


def gateway_of(site: Site, seat: Seat, version: int) -> str | None:
    """Where a NIC's default route would lead; None where nowhere. What is wrong with the file is refused."""
    given = [str(address) for address in seat.nic.gateway or () if address.version == version]
    if not _has(seat, version):
        if given and seat.dhcp and version == 4:
            message = f"gateway {given[0]} has no address to go with: the server that lends one names the gateway."
            site.refuse(seat.nic.at("gateway"), message, "Leave gateway out, or give an address.")
        return None
    network = site.file.networks[seat.nic.network]
    assert isinstance(network, BuiltNetwork)
    gateway = given[0] if given else network.gateway_for(site, seat, version)
    if not gateway or not (given or seat.nic.fixed) or network.alone or ip_address(gateway).is_link_local:
        return gateway  # what is assigned is in its reach
    nets = [ip_interface(each).network for each in seat.addresses if (6 if ":" in each else 4) == version]
    if any(ip_address(gateway) in net for net in nets):
        return gateway
    if not given and not seat.nic.default_route:
        return None  # its address is none of the LAN's, which may be wanted so
    message = f"gateway {gateway} is outside {' and '.join(map(str, nets))}: the guest couldn't reach it."
    site.refuse(seat.nic.at("gateway" if given else "default-route"), message, "Use that of a router on the network.")
    return gateway


def _is_alone(site: Site, seat: Seat) -> bool:
    network = site.file.networks[seat.nic.network]
    return isinstance(network, BuiltNetwork) and network.alone


def _has(seat: Seat, version: int) -> bool:
    return any((6 if ":" in address else 4) == version for address in seat.addresses)
