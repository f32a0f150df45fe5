"""The network type `libvirt`: a network that libvirt defines and starts, for domains, and on a bridge for others too.

Which of libvirt's forward modes is which of our own types, and what differs, is in docs/libvirt.md.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import ClassVar, Literal

from pydantic import Field

from guestwire.compile import BuiltNetwork, Seat, Site, Source
from guestwire.compile.dhcp import why_unserved
from guestwire.compile.plug import plug_in
from guestwire.compile.subnets import check_subnets
from guestwire.compile.tolibvirt import NAT_IPV6, libvirt_ips, libvirt_link
from guestwire.compile.uplink import find, raise_up, take_whole
from guestwire.daemons import libvirtparts, libvirtxml
from guestwire.daemons.dnsmasq import Lease
from guestwire.daemons.libvirt import SYSTEM, libvirt_leases
from guestwire.errors import Problem
from guestwire.kinds import Link
from guestwire.kinds.domain import called
from guestwire.kinds.libvirtnetwork import LibvirtNetwork
from guestwire.kinds.link import USUAL_MTU
from guestwire.picture import Key
from guestwire.printable import quote
from guestwire.spec.addresses import Host, first_usable
from guestwire.spec.file import File
from guestwire.spec.models import Part
from guestwire.spec.report import Where
from guestwire.spec.scalars import Flag, Text, VlanNumbers, Word

__all__ = ["Libvirt", "Portgroup"]

MAKES_BRIDGE = ("nat", "route", "open", "isolated")
BY_MACVTAP = ("vepa", "private", "passthrough")


class Portgroup(Part):
    """A class of a network's ports."""

    vlan: VlanNumbers = Field((), description="its VLANs: one untagged, or several tagged")
    default: Flag = Field(False, description="the ports that name no portgroup are of this one")


class Libvirt(BuiltNetwork):
    """A network of libvirt's."""

    devices: ClassVar[tuple[str, ...]] = ()

    type: Literal["libvirt"] = Field(description="a network that libvirt has")
    forward: Literal["nat", "route", "open", "isolated", "bridge", "vepa", "private", "passthrough"] = Field(
        "nat", description="how it leads out: libvirt's forward mode; isolated is its having none"
    )
    bridge: Text | None = Field(
        None, description="with forward: bridge, the bridge: one that is there, or a bridge network of this file"
    )
    virtualport: Literal["openvswitch"] | None = Field(None, description="the bridge is Open vSwitch's")
    vlan: VlanNumbers = Field((), description="on Open vSwitch: its ports' VLANs, one untagged or several tagged")
    portgroups: dict[Word, Portgroup] = Field({}, description="classes of ports, by name, which a NIC chooses from")
    dhcp: Flag = Field(False, description="libvirt's server answers DHCP and DNS")
    stp: Flag = Field(False, description="the bridge runs STP")
    uri: Text = Field(SYSTEM, description="how libvirt is reached on this machine")
    libvirt_name: Text | None = Field(None, description="what libvirt calls it; else PROJECT-NAME")

    def put(self, path: Where) -> None:
        super().put(path)
        for name, group in self.portgroups.items():
            group.put((*path, "portgroups", name))

    @property
    def makes_bridge(self) -> bool:
        """Whether libvirt makes its bridge."""
        return self.forward in MAKES_BRIDGE

    @property
    def by_macvtap(self) -> bool:
        """Whether domains are on macvtaps."""
        return self.forward in BY_MACVTAP or (self.forward == "bridge" and self.uplink is not None)

    def why_exclusive(self) -> str | None:
        return "forward passthrough takes the whole NIC" if self.forward == "passthrough" else None

    def why_no_dhcp(self) -> str | None:
        if not self.makes_bridge:
            return None
        return why_unserved(self.subnet) if self.dhcp else "which libvirt serves only with dhcp: true"

    def hosts(self) -> tuple[Host, ...]:
        return tuple(first_usable(net) for net in self.subnet) if self.makes_bridge else ()

    def name_servers(self) -> tuple[str, ...]:
        return tuple(self.gateways.values()) if self.dhcp else ()

    # What is wrong with the file

    def check(self, file: File) -> Iterable[Problem]:
        if self.makes_bridge:
            if self.bridge:
                message = f"forward {self.forward} has libvirt make the bridge itself."
                yield file.problem(self.at("bridge"), message, "Write forward: bridge, or leave bridge out.")
            if not self.subnet and self.forward != "isolated":
                message = f"forward {self.forward} without subnet: there is nothing to pass on."
                yield file.problem(self.path, message, "Give it a subnet, as subnet: 10.77.0.0/24.")
            if self.uplink and self.forward in ("open", "isolated"):
                message = f"uplink beside forward {self.forward}, which leads out by none."
                yield file.problem(self.at("uplink"), message, "Leave uplink out.")
        else:
            if self.subnet:
                message = f"subnet beside forward {self.forward}: guests there have addresses of the LAN."
                yield file.problem(self.at("subnet"), message, "Leave one of the two out.")
            if self.dhcp:
                message = f"dhcp beside forward {self.forward}: libvirt serves only on bridges that it makes."
                yield file.problem(self.at("dhcp"), message, "Leave dhcp out.")
            if self.forward in BY_MACVTAP and not self.uplink:
                message = f"forward {self.forward} without uplink: nothing says whose macvtaps they are."
                yield file.problem(self.path, message, "Name the host's NIC, as uplink: eth0.")
            if self.forward == "bridge" and bool(self.bridge) == bool(self.uplink):
                message = "forward bridge is on a bridge that is there, or by macvtaps on a NIC."
                yield file.problem(self.path, message, "Write either bridge: br0 or uplink: eth0.")
        if "/session" in self.uri:
            message = f"{self.uri} is a user's session, and there libvirt makes no networks."
            yield file.problem(self.at("uri"), message, "Leave uri out, or use a network of type bridge.")
        yield from self._check_ports(file)

    def _check_ports(self, file: File) -> Iterator[Problem]:
        for key in ("vlan", "portgroups"):
            if getattr(self, key) and not self.virtualport:
                message = f"{key}: of the bridges only Open vSwitch's takes VLANs from libvirt."
                yield file.problem(self.at(key), message, "Write virtualport: openvswitch, or leave it out.")
        if self.virtualport and not self.bridge:
            message = "virtualport without bridge: nothing says which of Open vSwitch's bridges is meant."
            yield file.problem(self.at("virtualport"), message, "Name it, as bridge: ovsbr0.")
        for plug in file.plugs(self.name):
            group = plug.nic.portgroup
            if group and group not in self.portgroups:
                message = f"network {quote(self.name)} has no portgroup {quote(group)}."
                known = ", ".join(self.portgroups)
                yield file.problem(plug.nic.at("portgroup"), message, f"It has {known}." if known else "Leave it out.")
            if plug.nic.port is not None:
                message = "port: libvirt makes the ports of its networks."
                yield file.problem(plug.nic.at("port"), message, "Leave port out, or use a network of type bridge.")
            if plug.guest.kind == "namespace" and (self.by_macvtap or self.virtualport):
                message = f"network {quote(self.name)} has no Linux bridge, and a namespace needs one."
                yield file.problem(plug.nic.at("network"), message, "Use a network of another type for it.")

    # What it makes

    def leases(self, site: Site) -> list[Lease] | None:
        return libvirt_leases(self.link(site)) if self.dhcp else None

    def reserved(self, site: Site) -> Iterator[tuple[str, str, str]]:
        seen = site.seen.get(Key("", site.host, LibvirtNetwork.KIND, called(self.uri, self._whole_name(site))))
        for ip in seen.network.ips if isinstance(seen, LibvirtNetwork) else ():
            yield from ((host.mac, host.name or "", host.address) for host in ip.hosts)

    def _whole_name(self, site: Site) -> str:
        return self.libvirt_name or f"{site.project}-{self.name}"

    def build(self, site: Site) -> None:
        if site.lab:
            message = "libvirt's networks are where its libvirtd is, and that isn't in a lab."
            site.refuse(self.path, message, "Use a network of another type there, or leave --lab out.")
            return
        if self.uplink:
            link = find(site, self, self.uplink, one_mac=not self.by_macvtap)
            if link is None:
                return
            if self.by_macvtap:
                raise_up(site, link)
            if self.forward == "passthrough":
                take_whole(site, self.at("forward"), link)
        if self.forward == "bridge" and self.bridge and not self._bridge(site):
            message = f"the host has no bridge {self.bridge}, and this file no network of that name with one."
            site.refuse(self.at("bridge"), message, "Name one that is there, or a network of type bridge.")
        if self.makes_bridge:
            check_subnets(site, self, but=self.link(site))

    def _bridge(self, site: Site) -> str | None:
        """The bridge that it is on, which is there or is made by another network of the file."""
        other = site.file.networks.get(self.bridge or "")
        if isinstance(other, BuiltNetwork) and other is not self:
            return other.link(site)
        there = site.uplink(self.bridge or "")
        return there.name if there is not None else None

    def finish(self, site: Site, seats: Sequence[Seat]) -> None:
        if site.lab:
            return
        network, _ = self.as_libvirt(site, seats)
        made = LibvirtNetwork.of(site.host, self.uri, replace(network, owner=site.project))
        site.add(made)
        self._say_what_it_takes(site, made)

    def as_libvirt(self, site: Site, seats: Sequence[Seat]) -> tuple[libvirtxml.Network, list[str]]:
        groups = self.portgroups.items()
        network = libvirtxml.Network(
            self._whole_name(site),
            libvirtxml.ISOLATED if self.forward == "isolated" else self.forward,
            (self.uplink,) if self.uplink else (),
            self.link(site) if not self.by_macvtap else None,
            self.stp,
            mtu=self.mtu if self.makes_bridge else None,
            ips=tuple(libvirt_ips(self.hosts(), self.subnet, seats, dhcp=self.dhcp)) if self.makes_bridge else (),
            virtualport=libvirtparts.Virtualport(self.virtualport) if self.virtualport else None,
            vlan=_vlan(self.vlan),
            portgroups=tuple(libvirtparts.Portgroup(name, group.default, _vlan(group.vlan)) for name, group in groups),
            beyond=(NAT_IPV6,) if self.forward == "nat" and any(net.version == 6 for net in self.subnet) else (),
        )
        return network, []

    def _say_what_it_takes(self, site: Site, made: LibvirtNetwork) -> None:
        seen = site.seen.get(made.key)
        consequence = made.consequence(seen) if isinstance(seen, LibvirtNetwork) else None
        if consequence and seen is not None and seen.owner == site.project:
            site.warn(self.path, f"changed: {consequence}.")

    def link(self, site: Site) -> str:
        if self.by_macvtap:
            return self.uplink or ""
        if self.forward == "bridge":
            return self._bridge(site) or self.bridge or ""
        return libvirt_link(site.name(self.name)[0])

    def source(self, site: Site, seat: Seat) -> Source | None:
        return Source("network", self._whole_name(site), portgroup=seat.nic.portgroup or "")

    def plug(self, site: Site, seat: Seat) -> None:
        above = site.uplink(self.link(site))
        mtu = seat.mtu or (above.mtu if isinstance(above, Link) else None) or USUAL_MTU
        plug_in(site, seat, mtu, master=self.link(site))

    def gateway_of(self, site: Site, version: int) -> str | None:
        if self.makes_bridge:
            return None if self.forward == "isolated" else super().gateway_of(site, version)
        return site.lan(self.link(site)).gateway(version)

    def host_addresses(self, site: Site) -> list[str]:
        if self.makes_bridge:
            return super().host_addresses(site)
        return [str(host) for host in site.lan(self.link(site)).hosts]


def _vlan(tags: Sequence[int]) -> libvirtparts.Vlan | None:
    return libvirtparts.Vlan(tuple(tags), len(tags) > 1) if tags else None
