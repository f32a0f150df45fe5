"""The network type `macvtap`, also written `macvlan`: each guest has its own MAC on the host's NIC, no bridge."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from ipaddress import ip_interface
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from guestwire.compile import BuiltNetwork, Seat, Site, Source
from guestwire.compile.subnets import check_subnets
from guestwire.compile.uplink import find, raise_up, see_carrier, take_whole
from guestwire.errors import Problem
from guestwire.kinds.address import Address
from guestwire.kinds.dhcp import DhcpClient
from guestwire.kinds.link import fits_ipv6
from guestwire.kinds.macvlan import Macvlan
from guestwire.kinds.route import Route
from guestwire.picture import Key
from guestwire.printable import quote
from guestwire.spec.addresses import Host, first_usable
from guestwire.spec.file import File
from guestwire.spec.scalars import Flag, LinkName, Macs

if TYPE_CHECKING:
    from guestwire.daemons import libvirtxml

__all__ = ["Macvtap"]


class Macvtap(BuiltNetwork):
    """Guests on a parent NIC, by the macvlan driver: a macvlan for a namespace, a macvtap for a virtual machine."""

    devices: ClassVar[tuple[str, ...]] = ("macvtap",)

    type: Literal["macvtap", "macvlan"] = Field("macvtap", description="a macvlan or macvtap on the host's NIC")
    uplink: LinkName = Field(description="the host's NIC that is the parent")
    mode: Literal["vepa", "bridge", "private", "passthru", "source"] = Field(
        "bridge",
        description="whom a guest can talk to on the same parent: through the switch (vepa), directly (bridge), nobody "
        "(private); or it takes the whole parent (passthru), or hears the MACs in macs only (source)",
    )
    macs: Macs = Field((), description="in mode source: the MACs that its guests hear")
    host_access: Flag = Field(False, description="host and guests reach each other: the host gets a macvlan too")

    def why_exclusive(self) -> str | None:
        return "mode passthru takes the whole NIC" if self.mode == "passthru" else None

    def shares_as(self) -> str:
        return "macvtap"

    @property
    def is_on_lan(self) -> bool:
        return not self.subnet  # who has an address of that can't be found by one of the LAN's

    def hosts(self) -> tuple[Host, ...]:
        return tuple(first_usable(net) for net in self.subnet) if self.host_access else ()

    def check(self, file: File) -> Iterable[Problem]:
        if self.macs and self.mode != "source":
            hint = "Write mode: source, or leave macs out."
            yield file.problem(self.at("macs"), f"mode {self.mode} has no use for macs.", hint)
        if self.mode == "source" and not self.macs:
            message = "mode source without macs: its guests would hear nobody."
            yield file.problem(self.at("mode"), message, "List the MACs that they shall hear under macs.")
        if self.host_access and self.mode != "bridge":
            message = (
                f"host-access needs mode bridge, not {self.mode}: the host's own macvlan is in bridge mode, and only "
                "its siblings in that mode talk to it."
            )
            hint = "Write mode: bridge, or leave host-access out."
            yield file.problem(self.at("host-access"), message, hint)
        yield from self._check_nics(file)

    def apart_from_host(self) -> str | None:
        if self.host_access:
            return None
        remedy = f"{'' if self.mode == 'bridge' else 'mode: bridge with '}host-access: true lets them"
        return f"On macvtap network {quote(self.name)} guests and host don't hear each other: {remedy}"

    def _check_nics(self, file: File) -> Iterable[Problem]:
        nics = file.ports(self.name)
        if self.mode == "passthru" and nics > 1:
            message = f"mode passthru gives the whole of {self.uplink} to one NIC, and {nics:,} are plugged in."
            yield file.problem(self.at("mode"), message, "Plug one in, or use mode bridge.")
        for plug in file.plugs(self.name):
            if plug.nic.port is not None:
                message = f"port is a bridge's, and network {quote(self.name)} has no bridge."
                yield file.problem(plug.nic.at("port"), message, "Leave port out.")

    def build(self, site: Site) -> None:
        link = find(site, self, self.uplink)
        if link is None or not self._fits(site):
            return
        macs = [plug.nic.mac for plug in site.file.plugs(self.name)] if self.mode == "passthru" else []
        if self.mode == "passthru":
            take_whole(site, self.at("mode"), link)
        see_carrier(site, self, link)
        raise_up(site, link, *macs)
        lent = any(client.link == link.name for client in site.base.of(DhcpClient, site.host))
        if self.host_access and not self.subnet and lent:
            message = f"the host's address on uplink {self.uplink} is a lease, which its macvlan can't hold as well."
            site.refuse(self.at("host-access"), message, "Give the network a subnet.")
            return
        if self.host_access and not self.subnet:
            site.given.add((site.host, self.uplink))
            self._see_what_is_lent(site)
        if self.host_access:
            check_subnets(site, self)
            name, long = site.name(f"{self.name}.h")
            site.add(
                Macvlan(
                    netns=site.host,
                    name=name,
                    long=long,
                    owner=site.project,
                    parent=(site.host, self.uplink),
                    mode="bridge",
                    mac=site.mac(self.name, "host"),
                    mtu=self.mtu or site.usual_mtu(Key("", site.host, Macvlan.KIND, name), link),
                    master="",
                )
            )
            site.add(*(Address.on(site.host, name, each, site.project) for each in self._shim_addresses(site)))

    def _see_what_is_lent(self, site: Site) -> None:
        """Warn of an address of the host's that ends: the host's macvlan has it for good."""
        for address in site.base.of(Address, site.host):
            if address.link == self.uplink and address.ends:
                message = (
                    f"the host's {address.interface} on uplink {self.uplink} is lent to it, and its macvlan has it too."
                )
                hint = "Once it is another, `up` again, unless a watch does; or give the network a subnet."
                site.warn(self.at("host-access"), message, hint)

    def _fits(self, site: Site) -> bool:
        """Whether the modes of the children that the uplink has already admit one of this mode; else refused."""
        there = site.children(self.uplink)
        if alien := next((link for link in there if not isinstance(link, Macvlan)), None):
            message = f"uplink {self.uplink} has {alien.device} {alien.name}, and a NIC gives its frames to one driver."
            site.refuse(self.at("uplink"), message, "Use another uplink, or remove that one first.")
            return False
        other = next((link for link in there if "passthru" in (self.mode, link.mode)), None)
        if other is None:
            return True
        message = (
            f"uplink {self.uplink} has {other.device} {other.name} in mode {other.mode}; passthru stands beside none."
        )
        site.refuse(self.at("mode"), message, "Use another uplink, or remove that one first.")
        return False

    def _shim_addresses(self, site: Site) -> list[str]:
        """What the host's own macvlan holds: its address in the subnet; else the uplink's, each as a single address.

        IPv4 would do without, as any link answers for any address of the host's; IPv6 answers only for those on the
        link.
        """
        if self.subnet:
            return [str(host) for host in self.hosts()]
        hosts = site.lan(self.uplink).hosts
        return [f"{each.ip}/{each.max_prefixlen}" for each in hosts if each.version == 4 or fits_ipv6(self.mtu)]

    def link(self, site: Site) -> str:
        return self.uplink

    def plug(self, site: Site, seat: Seat) -> None:
        # In mode passthru the child has the parent's MAC, and one given to it becomes the parent's.
        parent = site.uplink(self.uplink)
        mac = seat.mac if self.mode != "passthru" else seat.nic.mac
        if self.mode != "passthru":
            self._check_mac(site, seat)
        held = seat.device is not None
        netns, name = (site.host, seat.host_link) if held else (seat.netns, seat.link)
        if held and mac is None and parent is not None:
            mac = parent.mac  # said outright, for on the host an undo knows what bears no mark yet by its MAC
        site.add(
            Macvlan(
                netns=netns,
                name=name,
                long=seat.host_long if held else None,
                owner=site.project,
                device="macvtap" if held else "macvlan",
                parent=(site.host, self.uplink),
                mode=self.mode,
                macs=tuple(sorted(self.macs)) if self.mode == "source" else None,
                mac=mac,
                mtu=seat.mtu or site.usual_mtu(Key("", netns, Macvlan.KIND, name), parent),
                link_local=seat.link_local and not held,  # whoever holds it speaks IPv6, not this end
                all_multicast=True if held else None,  # and joins its groups: IPv6 can't be found without
                master="",
            )
        )
        if self.host_access and not self.subnet:
            shim = site.name(f"{self.name}.h")[0]
            for address in seat.addresses:
                alone = str(ip_interface(address).ip)
                length = ip_interface(address).max_prefixlen
                site.add(Route.to(site.host, f"{alone}/{length}", shim, site.project))

    def source(self, site: Site, seat: Seat) -> Source | None:
        if self.mode == "source":
            return None  # libvirt makes none of that mode, and takes one that is there
        self._check_mac(site, seat)
        return Source("direct", self.uplink, "passthrough" if self.mode == "passthru" else self.mode)

    def as_libvirt(self, site: Site, seats: Sequence[Seat]) -> tuple[libvirtxml.Network | None, list[str]]:
        from guestwire.daemons import libvirtxml

        if self.mode == "source":
            return None, ["libvirt has no macvtap in mode source."]
        told = []
        if self.host_access:
            told.append("host-access: libvirt gives the host no macvlan of its own, so host and guests can't talk.")
        elif self.subnet:
            told.append("subnet: on macvtaps libvirt gives nobody addresses.")
        mode = "passthrough" if self.mode == "passthru" else self.mode
        return libvirtxml.Network(f"{site.project}-{self.name}", mode, (self.uplink,)), told

    def _check_mac(self, site: Site, seat: Seat) -> None:
        """Refuse a MAC that the parent or another child of it in sight has: the kernel sets no second one up."""
        parent = site.uplink(self.uplink)
        others = [*([parent] if parent else []), *site.children(self.uplink)]
        for link in others if seat.nic.mac else ():
            if link.mac == seat.nic.mac:
                message = f"MAC {seat.nic.mac} is that of {link.name} already, on the same uplink."
                site.refuse(seat.nic.at("mac"), message, "Use another, or leave it out: one is made from the name.")

    def host_addresses(self, site: Site) -> list[str]:
        return super().host_addresses(site) if self.subnet else [str(host) for host in site.lan(self.uplink).hosts]

    def gateway_of(self, site: Site, version: int) -> str | None:
        return super().gateway_of(site, version) if self.subnet else site.lan(self.uplink).gateway(version)

    def candidates(self, site: Site, version: int) -> Iterator[str]:
        return super().candidates(site, version) if self.subnet else site.lan(self.uplink).candidates(version)

    def prefix(self, site: Site, address: str) -> int | None:
        return super().prefix(site, address) if self.subnet else site.lan(self.uplink).prefix(address)
