"""The guest kind `namespace`: a network namespace with NICs, addresses and routes of its own; no image, no process."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import ip_address, ip_interface
from typing import Literal

from pydantic import Field

from guestwire.compile import BuiltGuest, BuiltNetwork, Seat, Site
from guestwire.errors import Problem
from guestwire.kinds.address import Address
from guestwire.kinds.file import File as FileOnDisk
from guestwire.kinds.namespace import Namespace as NamespaceThing
from guestwire.kinds.route import Route
from guestwire.spec.file import File

__all__ = ["Namespace"]

BEFORE_ADVERTISED = 512
"""The metric of a guest's IPv6 default route where routers advertise another, which the kernel gives 1,024."""
DEFAULTS = {4: "0.0.0.0/0", 6: "::/0"}


class Namespace(BuiltGuest):
    """A network namespace."""

    kind: Literal["namespace"] = Field("namespace", description="a network namespace")

    def check(self, file: File) -> Iterable[Problem]:
        # Until guestwire holds descriptors and cables them (design.md, "Which device"); then this method goes.
        for nic in self.nics:
            network = file.networks.get(nic.network)
            if nic.device and network and nic.device in network.devices:
                message = f"device {nic.device} isn't built yet: this version gives a namespace a veth or a macvlan."
                yield file.problem(nic.at("device"), message, "Leave device out.")

    def build(self, site: Site, name: str, seats: list[Seat]) -> None:
        netns = f"{site.project}-{name}"
        site.add(NamespaceThing.named(netns, site.project))
        for seat in seats:
            network = site.file.networks[seat.nic.network]
            assert isinstance(network, BuiltNetwork)
            network.plug(site, seat)
            site.add(*(Address.on(netns, seat.link, address, site.project) for address in seat.addresses))
        for version in DEFAULTS:
            self._default_route(site, netns, seats, version)
        networks = [site.file.networks[seat.nic.network] for seat in seats]
        answering = (n.name_servers() for n in networks if isinstance(n, BuiltNetwork) and n.name_servers())
        if dns := tuple(map(str, self.dns)) or next(answering, ()):
            # The place where `ip netns exec` looks for what a namespace shall find in /etc.
            servers = "".join(f"nameserver {address}\n" for address in dns)
            path = f"/etc/netns/{netns}/resolv.conf"
            site.add(FileOnDisk(netns="", name=path, owner=site.project, content=servers))

    def _default_route(self, site: Site, netns: str, seats: list[Seat], version: int) -> None:
        """One default route a family: by the NIC that says so, else by the first that has an address and a gateway."""
        for seat in sorted(seats, key=lambda seat: seat.nic.default_route is not True):
            gateway = self._gateway(site, seat, version)
            if gateway is not None and seat.nic.default_route is not False:
                network = site.file.networks[seat.nic.network]
                onlink = version == 4 and isinstance(network, BuiltNetwork) and network.alone
                metric = BEFORE_ADVERTISED if version == 6 and _hears_routers(site, seats) else None
                route = Route.to(
                    netns, DEFAULTS[version], seat.link, site.project, gateway, onlink=onlink, metric=metric
                )
                site.add(route)
                return

    def _gateway(self, site: Site, seat: Seat, version: int) -> str | None:
        if not any((6 if ":" in address else 4) == version for address in seat.addresses):
            return None
        given = [str(address) for address in seat.nic.gateway or () if address.version == version]
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
