"""The network type `routed`: no shared segment; each guest has a cable to the host, which passes its packets on.

A guest's address is alone on its cable (/32, /128). The host has a route to each; a guest has its default route by an
address that every such cable's host end has, 169.254.1.1 and fe80::1, which being link-local collide with nobody's and
stay the same whatever the host's own are. What a guest sends to another of the network goes by way of the host too.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from ipaddress import ip_address
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from guestwire.compile import Gateway, Seat, Site
from guestwire.compile.plug import plug_in
from guestwire.compile.subnets import check_subnets
from guestwire.compile.tolibvirt import NAT_IPV6, libvirt_ips, libvirt_link
from guestwire.compile.uplink import find, raise_up
from guestwire.errors import Problem
from guestwire.kinds.address import Address
from guestwire.kinds.link import USUAL_MTU
from guestwire.kinds.proxy import Proxy
from guestwire.kinds.route import RT_SCOPE_LINK, RT_SCOPE_UNIVERSE, Route
from guestwire.kinds.sysctl import Sysctl
from guestwire.printable import quote
from guestwire.spec.addresses import first_usable
from guestwire.spec.file import File
from guestwire.spec.scalars import Flag

if TYPE_CHECKING:
    from guestwire.daemons import libvirtxml

__all__ = ["Routed"]

NEXT_HOP = {4: "169.254.1.1", 6: "fe80::1"}


class Routed(Gateway):
    """Guests behind the host, each on a cable of its own: what is said goes from network layer to network layer."""

    devices: ClassVar[tuple[str, ...]] = ("tap", "tun")
    alone: ClassVar[bool] = True

    type: Literal["routed"] = Field("routed", description="a route to each guest, no shared segment")
    proxy: Flag = Field(False, description="the host answers ARP and NDP for its guests on the uplink's LAN")

    @property
    def passes_on(self) -> bool:
        return True

    def why_no_dhcp(self) -> str | None:
        return "where each guest is alone with the host"

    def check(self, file: File) -> Iterable[Problem]:
        if not self.subnet:
            message = "routed without subnet: nothing says which addresses lead to it."
            yield file.problem(self.path, message, "Give it a subnet, as subnet: 10.77.0.0/24.")
        if self.proxy and self.uplink is None:
            message = "proxy without uplink: nothing says on which LAN the host shall answer for its guests."
            yield file.problem(self.at("proxy"), message, "Name the host's NIC, as uplink: eth0.")
        if self.proxy and self.nat:
            message = "nat beside proxy: guests are either seen by their own addresses, or by the host's."
            yield file.problem(self.at("nat"), message, "Leave one of the two out.")
        yield from self.check_passing(file)
        for plug in file.plugs(self.name):
            if plug.nic.port is not None:
                message = f"port is a bridge's, and network {quote(self.name)} has no bridge."
                yield file.problem(plug.nic.at("port"), message, "Leave port out.")
            if plug.nic.gateway:
                message = "gateway: a routed guest has one neighbour, the host."
                yield file.problem(plug.nic.at("gateway"), message, "Leave gateway out.")

    def build(self, site: Site) -> None:
        if self.uplink is not None:
            link = find(site, self, self.uplink, one_mac=True)
            if link is None:
                return
            raise_up(site, link)
        if self.proxy:
            self._check_inside(site)
        else:
            check_subnets(site, self)

    def _check_inside(self, site: Site) -> None:
        """Refuse a subnet that isn't part of the LAN's own: only there is anybody asked for by ARP."""
        assert self.uplink is not None
        hosts = site.lan(self.uplink).hosts
        for i, net in enumerate(self.subnet):
            own = [str(host.network) for host in hosts if host.version == net.version]
            if not any(net.subnet_of(host.network) for host in hosts if host.version == net.version):  # type: ignore[arg-type]
                has = f"that of uplink {self.uplink}, {' and '.join(own)}" if own else f"any of uplink {self.uplink}'s"
                message = f"proxy: subnet {net} isn't inside {has}: nobody there would ask for it by ARP or NDP."
                hint = "Choose a part of that which nobody else uses, or leave proxy out and give the router a route."
                site.refuse(self.at("subnet", i) if len(self.subnet) > 1 else self.at("subnet"), message, hint)

    def as_libvirt(self, site: Site, seats: Sequence[Seat]) -> tuple[libvirtxml.Network | None, list[str]]:
        from guestwire.daemons import libvirtxml

        told = ["libvirt's is a bridge with a subnet: guests hear one another, and have the bridge for their gateway."]
        told += ["proxy: libvirt doesn't have the host answer ARP and NDP for guests."] if self.proxy else []
        told += ["ports of the host's that lead to guests; a hook script of libvirt's may add them."] * bool(
            self.forward
        )
        hosts = [first_usable(net) for net in self.subnet]
        ips = tuple(libvirt_ips(hosts, self.subnet, seats, dhcp=False))
        devices = (self.uplink,) if self.uplink else ()
        name, mode = libvirt_link(site.name(self.name)[0]), "nat" if self.nat else "route"
        beyond = (NAT_IPV6,) if self.nat and 6 in self.versions else ()
        whole = f"{site.project}-{self.name}"
        network = libvirtxml.Network(whole, mode, devices, name, False, mtu=self.mtu, ips=ips, beyond=beyond)
        return network, told

    def link(self, site: Site) -> str:
        return self.uplink or ""

    def plug(self, site: Site, seat: Seat) -> None:
        owner = site.project
        above = site.uplink(self.uplink) if self.uplink else None
        mtu = seat.mtu or (above and above.mtu) or USUAL_MTU
        if not seat.addresses and not seat.dhcp:
            message = "it has no address on a routed network, where nothing but its address leads to a guest."
            site.refuse(seat.nic.path, message, "Give it one of the network's.")
        plug_in(site, seat, mtu, master="")  # its link-local address is fe80::1
        for address in (ip_address(each.partition("/")[0]) for each in seat.addresses):
            hop = f"{NEXT_HOP[address.version]}/{32 if address.version == 4 else 64}"
            scope = RT_SCOPE_LINK if address.version == 4 else None
            site.add(replace(Address.on(site.host, seat.host_link, hop, owner), scope=scope))
            # Of global scope, so that the host's own packets come from an address that others can answer.
            route = Route.to(site.host, f"{address}/{address.max_prefixlen}", seat.host_link, owner)
            site.add(replace(route, scope=RT_SCOPE_UNIVERSE if address.version == 4 else None))
            if self.proxy and self.uplink:
                site.add(Proxy.on(site.host, self.uplink, str(address), owner))

    def finish(self, site: Site, seats: Sequence[Seat]) -> None:
        if self.proxy and self.uplink and 6 in self.versions:
            site.take(Sysctl.of(site.host, 6, self.uplink, "proxy_ndp", "1"))
        self.pass_on(site, seats, [seat.host_link for seat in seats])

    def host_addresses(self, site: Site) -> list[str]:
        return [str(host) for host in site.lan(self.uplink).hosts] if self.uplink else []

    def gateway_of(self, site: Site, version: int) -> str | None:
        return NEXT_HOP[version]

    def whose(self, site: Site, address: str) -> str | None:
        return site.lan(self.uplink).whose(address) if self.proxy and self.uplink else None

    def candidates(self, site: Site, version: int) -> Iterator[str]:
        for each in super().candidates(site, version):
            address = each.partition("/")[0]
            if self.whose(site, address) is None:
                yield f"{address}/{ip_address(address).max_prefixlen}"

    def prefix(self, site: Site, address: str) -> int | None:
        return ip_address(address).max_prefixlen if super().prefix(site, address) is not None else None
