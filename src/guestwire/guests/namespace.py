"""The guest kind `namespace`: a network namespace with NICs, addresses and routes of its own; no image, no process."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import ip_address, ip_interface
from typing import Literal

from pydantic import Field

from guestwire.compile import BuiltGuest, BuiltNetwork, Seat, Site
from guestwire.errors import Problem
from guestwire.kinds import Link
from guestwire.kinds.address import Address
from guestwire.kinds.cable import Cable
from guestwire.kinds.dhcp import DhcpClient
from guestwire.kinds.file import File as FileOnDisk
from guestwire.kinds.macvlan import Macvlan
from guestwire.kinds.namespace import Namespace as NamespaceThing
from guestwire.kinds.route import Route
from guestwire.kinds.tap import Tap
from guestwire.picture import Key
from guestwire.spec.file import File

__all__ = ["Namespace"]

USUAL_MTU = 1500
HELD = {"tap": Tap.KIND, "macvtap": Macvlan.KIND}
"""The kinds of the links that a descriptor can be had of, by what a file calls them."""
BEFORE_ADVERTISED = 512
"""The metric of a guest's IPv6 default route where routers advertise another, which the kernel gives 1,024."""
DEFAULTS = {4: "0.0.0.0/0", 6: "::/0"}


def _resolv(netns: str) -> str:
    """The place where `ip netns exec` looks for what a namespace shall find in /etc."""
    return f"/etc/netns/{netns}/resolv.conf"


class Namespace(BuiltGuest):
    """A network namespace."""

    kind: Literal["namespace"] = Field("namespace", description="a network namespace")

    def check(self, file: File) -> Iterable[Problem]:
        yield from super().check(file)
        for nic in self.nics:
            if nic.device == "tun":
                message = "device tun carries packets without Ethernet, and a namespace's NIC has Ethernet."
                yield file.problem(nic.at("device"), message, "Use device tap, or leave device out.")

    def build(self, site: Site, name: str, seats: list[Seat]) -> None:
        netns = f"{site.project}-{name}"
        site.add(NamespaceThing.named(netns, site.project))
        for seat in seats:
            network = site.file.networks[seat.nic.network]
            assert isinstance(network, BuiltNetwork)
            network.plug(site, seat)
            if seat.device is not None:
                self._cable(site, seat, network)
            site.add(*(Address.on(netns, seat.link, address, site.project) for address in seat.addresses))
        led = [self._default_route(site, netns, seats, version) for version in DEFAULTS]
        self._clients(site, name, seats, led)
        networks = [site.file.networks[seat.nic.network] for seat in seats]
        answering = (n.name_servers() for n in networks if isinstance(n, BuiltNetwork) and n.name_servers())
        if dns := tuple(map(str, self.dns)) or next(answering, ()):
            servers = "".join(f"nameserver {address}\n" for address in dns)
            site.add(FileOnDisk(netns="", name=_resolv(netns), owner=site.project, content=servers))

    def _clients(self, site: Site, name: str, seats: list[Seat], led: list[Seat | None]) -> None:
        """A DHCP client for each NIC that asks: one in `led` sets the default route, the first the name servers."""
        resolv = "" if self.dns else _resolv(f"{site.project}-{name}")
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

    def _cable(self, site: Site, seat: Seat, network: BuiltNetwork) -> None:
        """The guest's NIC, and the cable to the link that the network has plugged in for it on the host."""
        assert seat.device is not None
        links = site.desired.picture
        end = links.get(Key("", site.host, HELD[seat.device], seat.host_link))
        parent = site.uplink(network.uplink) if network.uplink else None
        assert isinstance(end, Link)
        # A macvtap hands on what is for its own MAC. In mode passthru, where none was given, that is its parent's.
        mac = seat.mac if seat.device == "tap" else end.mac or (parent.mac if parent else None)
        site.add(
            Tap(
                netns=seat.netns,
                name=seat.link,
                owner=site.project,
                mac=mac,
                user=seat.user,
                group=seat.group,
                mtu=end.mtu or (parent.mtu if parent else None) or USUAL_MTU,
                link_local=seat.link_local,
                master="",
            ),
            Cable(
                netns=seat.netns,
                name=seat.link,
                owner=site.project,
                end=(site.host, seat.host_link, seat.device),
            ),
        )

    def _default_route(self, site: Site, netns: str, seats: list[Seat], version: int) -> Seat | None:
        """One default route a family: by the NIC that says so, else by the first that has an address and a gateway.

        What is returned is the NIC that is to get it with its lease.
        """
        for seat in sorted(seats, key=lambda seat: seat.nic.default_route is not True):
            gateway = self._gateway(site, seat, version)
            if seat.nic.default_route is False:
                continue
            if seat.dhcp and version == 4:
                return seat
            if gateway is not None:
                network = site.file.networks[seat.nic.network]
                onlink = version == 4 and isinstance(network, BuiltNetwork) and network.alone
                metric = BEFORE_ADVERTISED if version == 6 and _hears_routers(site, seats) else None
                route = Route.to(
                    netns, DEFAULTS[version], seat.link, site.project, gateway, onlink=onlink, metric=metric
                )
                site.add(route)
                return None
        return None

    def _gateway(self, site: Site, seat: Seat, version: int) -> str | None:
        given = [str(address) for address in seat.nic.gateway or () if address.version == version]
        if not any((6 if ":" in address else 4) == version for address in seat.addresses):
            if given and seat.dhcp and version == 4:
                message = f"gateway {given[0]} has no address to go with: the server that lends one names the gateway."
                site.refuse(seat.nic.at("gateway"), message, "Leave gateway out, or give an address.")
            return None
        network = site.file.networks[seat.nic.network]
        assert isinstance(network, BuiltNetwork)
        if not given:
            return network.gateway_for(site, seat, version)
        nets = [ip_interface(each).network for each in seat.addresses if (6 if ":" in each else 4) == version]
        if not any(ip_address(given[0]) in net for net in nets):
            message = f"gateway {given[0]} is outside {' and '.join(map(str, nets))}: the guest couldn't reach it."
            site.refuse(seat.nic.at("gateway"), message, "Use that of a router on the network.")
        return given[0]


def _hears_routers(site: Site, seats: list[Seat]) -> bool:
    """Whether a router's advertisement may come by one of the NICs: from a network's own server, or on a real LAN."""
    networks = (site.file.networks[seat.nic.network] for seat in seats)
    return any(n.name_servers() or (n.uplink and not site.lab) for n in networks if isinstance(n, BuiltNetwork))
