"""The network type `bridge`: guests are ports of a Linux bridge, alone or with the host's NIC as one more port."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from ipaddress import ip_interface
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from guestwire.compile import Seat, Segmented, Site, Source
from guestwire.compile.carried import has_link_local, to_look_up
from guestwire.compile.dhcp import check_dhcp, lease_file, reserved, serve, why_unserved
from guestwire.compile.firewall import Flow, through
from guestwire.compile.gateway import guard
from guestwire.compile.plug import plug_in
from guestwire.compile.subnets import check_subnets
from guestwire.compile.tolibvirt import NAT_IPV6, libvirt_ips, libvirt_link
from guestwire.compile.uplink import enslave, find
from guestwire.daemons.dnsmasq import Lease, leases
from guestwire.errors import Problem
from guestwire.kinds import Link
from guestwire.kinds.address import Address
from guestwire.kinds.bridge import MOST_PORTS
from guestwire.kinds.bridge import Bridge as BridgeLink
from guestwire.kinds.link import USUAL_MTU, fits_ipv6
from guestwire.kinds.linklocal import LinkLocal
from guestwire.kinds.port import Port as PortOptions
from guestwire.kinds.sysctl import IPV4_FORWARD, IPV6_FORWARD, Sysctl
from guestwire.picture import Key, Picture
from guestwire.printable import quote
from guestwire.spec.addresses import Host, Hosts, first_usable, unusable
from guestwire.spec.file import File
from guestwire.spec.models import Port
from guestwire.spec.report import Where
from guestwire.spec.scalars import Flag

if TYPE_CHECKING:
    from guestwire.daemons import libvirtxml

__all__ = ["Bridge"]

FORWARD = {4: IPV4_FORWARD, 6: IPV6_FORWARD}
NF_CALL = {4: "net/bridge/bridge-nf-call-iptables", 6: "net/bridge/bridge-nf-call-ip6tables"}


class Bridge(Segmented):
    """A Linux bridge. With `uplink` guests are on the host's LAN; with `subnet` the bridge is their gateway."""

    devices: ClassVar[tuple[str, ...]] = ("tap",)

    type: Literal["bridge"] = Field("bridge", description="a Linux bridge")
    dhcp: Flag = Field(False, description="a server of the network's own answers DHCP, and DNS with guests' names")
    stp: Flag = Field(False, description="the bridge runs STP, and a port forwards nothing for its first 30 seconds")
    gateway: Hosts = Field((), description="the bridge's own address in each subnet; else the first usable")
    port: Port | None = Field(None, description="how the bridge treats its guests' ports, where a NIC doesn't say")

    def why_exclusive(self) -> str | None:
        return "a NIC that is a bridge's port can serve nothing else"

    def why_no_dhcp(self) -> str | None:
        return why_unserved(self.subnet) if self.dhcp else super().why_no_dhcp()

    def name_servers(self) -> tuple[str, ...]:
        return tuple(self.gateways.values()) if self.dhcp else ()

    def leases(self, site: Site) -> list[Lease] | None:
        return leases(lease_file(site, self)) if self.dhcp else None

    def reserved(self, site: Site) -> Iterator[tuple[str, str, str]]:
        return reserved(site, self) if self.dhcp else super().reserved(site)

    def hosts(self) -> tuple[Host, ...]:
        given = {address.version: address for address in self.gateway}
        return tuple(
            ip_interface(f"{given[net.version]}/{net.prefixlen}") if net.version in given else first_usable(net)
            for net in self.subnet
        )

    def check(self, file: File) -> Iterable[Problem]:
        if self.uplink and self.subnet:
            message = f"subnet beside uplink {self.uplink}: guests there have addresses of the uplink's LAN."
            yield file.problem(self.at("subnet"), message, "Leave one of the two out.")
        if self.uplink and self.nat:
            message = f"nat beside uplink {self.uplink}: guests there are on the LAN, by its own addresses."
            hint = "Leave nat out; or leave uplink out, and give a subnet: nat leads out by whatever way the host has."
            yield file.problem(self.at("nat"), message, hint)
        else:
            yield from self.check_passing(file)
        if self.dhcp:
            yield from check_dhcp(self, file)
        yield from self._check_address(file)
        yield from self.check_vlans(file)
        taken = file.ports(self.name) + (self.uplink is not None)
        if taken > MOST_PORTS:
            message = f"{taken:,} ports, and the kernel gives a bridge {MOST_PORTS:,} at most (BR_PORT_BITS)."
            yield file.problem(self.path, message, "Spread the guests over several networks.")

    def _check_address(self, file: File) -> Iterable[Problem]:
        subnets = {net.version: net for net in self.subnet}
        for i, address in enumerate(self.gateway):
            net = subnets.get(address.version)
            where = self.at("gateway", i)
            if net is None:
                message = f"gateway {address} has no IPv{address.version} subnet that it could be in."
                yield file.problem(where, message, "Give subnet too, or leave gateway out.")
            elif address not in net:
                hint = f"Use one of its addresses, as {first_usable(net).ip}."
                yield file.problem(where, f"gateway {address} is outside subnet {net}.", hint)
            elif unusable(address, net):
                hint = f"Use one of its hosts' addresses, as {first_usable(net).ip}."
                yield file.problem(where, f"gateway {address} is no host's address in {net}.", hint)

    def build(self, site: Site) -> None:
        name, long = site.name(self.name)
        mac = site.mac(self.name)
        link_local = None
        if self.uplink is not None:
            link = find(site, self, self.uplink)
            if isinstance(link, BridgeLink):
                self._check_room(site, link)
                self._check_foreign(site, link)
            if link is None or isinstance(link, BridgeLink):
                return  # a bridge that is there already is the network; guests become its ports
            taken = site.children(self.uplink)
            if taken:
                message = (
                    f"uplink {self.uplink} has a {taken[0].device}, {taken[0].name}, and can't be a bridge's port too."
                )
                site.refuse(self.at("uplink"), message, "Use type macvtap, or another uplink.")
                return
            if self.uplink in site.users:
                message = f"uplink {self.uplink} is in use by project {site.users[self.uplink]}."
                site.refuse(self.at("uplink"), message, "Use type macvtap as it does, or another uplink.")
                return
            enslave(site, self, link, name, self.vlans_of_uplink(site))
            if self.stp and any(nic.name == link.name for _, nic, _ in site.moving):
                message = f"with STP uplink {self.uplink} passes nothing for the first 30 s, the host's own neither."
                hint = "The guard takes that for a host cut off: `up --no-guard --confirm 120`, or leave stp out."
                site.warn(self.at("stp"), message, hint)
            mac = link.mac or mac
            there = site.seen.get(Key("", site.host, BridgeLink.KIND, name))
            made_so = False if has_link_local(site, link) else None
            link_local = there.link_local if isinstance(there, BridgeLink) else made_so  # made again, it is as it was
        self._check_ipv6(site, self.at("mtu"), self.mtu)
        check_subnets(site, self)
        owner = site.project
        site.add(
            BridgeLink(
                netns=site.host,
                name=name,
                long=long,
                owner=owner,
                mac=mac,
                mtu=self._least_mtu(site),
                stp=self.stp,
                vlan_filtering=self.vlans,
                vlans=self.vlans_of_host(),
                master="",
                link_local=link_local,
            )
        )
        site.add(*(Address.on(site.host, name, str(host), owner) for host in self.hosts()))

    def _least_mtu(self, site: Site) -> int | None:
        """The least MTU of the network and its ports, for the bridge drops what a port can't send.

        None where the kernel sees to that: as long as nobody has set a bridge's MTU, as here where the file gives one.
        """
        nics = [plug.nic for plug in site.file.plugs(self.name)]
        given = [nic.mtu for nic in nics if nic.mtu]
        if self.mtu is not None:
            return min([self.mtu, *given])
        if not given and Key("", site.host, BridgeLink.KIND, self.link(site)) not in site.seen:
            return None
        above = site.uplink(self.uplink) if self.uplink else None
        usual = (above and above.mtu) or USUAL_MTU
        ours = [nic.mtu or usual for nic in nics]
        return min([*ours, *site.strange_ports(self.link(site)), *([usual] if above or not ours else [])])

    def _check_ipv6(self, site: Site, where: Where, mtu: int | None) -> None:
        """Refuse an MTU at which the bridge, which takes its ports' least, loses the IPv6 address that it has."""
        if fits_ipv6(mtu):
            return
        held = self.host_addresses(site)
        for kind in (Address, LinkLocal) if self.uplink else ():
            held += [each.interface for each in site.base.of(kind, site.host) if each.link == self.uplink]
        six = next((address for address in held if ":" in address), None)
        if six:
            message = f"mtu {mtu} is under IPv6's 1280, and the bridge, which takes its ports' least, has {six}."
            site.refuse(where, message, "Write 1280 or more.")

    def finish(self, site: Site, seats: Sequence[Seat]) -> None:
        name = self.link(site)
        if self.passes_on:
            self.pass_on(site, seats, [name])
        elif self.subnet and site.forwards:
            guard(site, f'"{name}"', out=False)
        else:
            self._see_apart(site, name)
        if self.dhcp:
            serve(site, self, seats)
        self._see_one_mtu(site, seats)
        self._must_pass_bridged(site, name)

    def _see_apart(self, site: Site, name: str) -> None:
        """Note what must not pass for the network to be apart, where the host forwards without our doing."""
        on = {version for version in self.versions if _is_on(site.base, site.host, FORWARD[version])}
        held = [*site.base.of(Address, site.host), *site.desired.picture.of(Address, site.host)] if on else []
        others = {(each.family, each.link) for each in held if each.link not in ("lo", name)}
        nets = {int(net.version): net for net in self.subnet}
        flows = [flow for family, out in sorted(others) if family in on for flow in through(nets[family], [name], out)]
        if flows:
            what = " and ".join(f"IPv{version} ({FORWARD[version].replace('/', '.')} is 1)" for version in sorted(on))
            message = f"the host forwards {what}: from its other networks {quote(self.name)} can be reached."
            rules = f"`iifname {name} oifname != {name} drop` and `oifname {name} iifname != {name} drop`"
            hint = f"To keep it apart, have nft do so in a chain of hook forward: {rules}."
            site.apart.append((self.path, flows, message, hint))

    def _see_one_mtu(self, site: Site, seats: Sequence[Seat]) -> None:
        """Warn where one end can send what another can't take: a bridge has no way to say so, and drops it."""
        above = site.uplink(self.uplink) if self.uplink else None
        usual = self.mtu or (above and above.mtu) or USUAL_MTU
        sizes = {seat.mtu or usual: seat for seat in reversed(seats)}
        most = max([above.mtu or USUAL_MTU] if above else sizes, default=0)
        least = min(sizes, default=most)
        if least < most:
            nic = sizes[least].nic
            other = f"uplink {self.uplink}" if above else f"guest {sizes[most].guest}"
            message = (
                f"mtu {least} beside {most} of {other}: packets too large for one of them are lost without a word."
            )
            site.warn(nic.at("mtu") if nic.mtu else self.at("mtu"), message, "Give all on one network the same.")

    def looks_at(self, seen: Picture, host: str) -> Iterable[Key]:
        yield from super().looks_at(seen, host)
        forward = [FORWARD[version] for version in self.versions]
        yield from (Key("", host, Sysctl.KIND, path) for path in (*NF_CALL.values(), *forward))
        if self.uplink is not None:
            yield from to_look_up(host, self.uplink)

    def _must_pass_bridged(self, site: Site, name: str) -> None:
        """Note what a firewall must let pass: between guests, where bridged frames are shown to it; to our server."""
        for version, path in NF_CALL.items():
            if _is_on(site.seen, site.host, path):
                what = f"bridged IPv{version} frames (bridge-nf-call is on)"
                site.flows.append((self.path, Flow(what, name, f"iifname {name}", version, iif=name, oif=name)))
        for version in self.versions if self.dhcp else ():
            for what, port in (("DHCP", 67 if version == 4 else 547), ("DNS", 53)):
                rule = f"iifname {name} udp dport {port}"
                flow = Flow(f"guests' {what}", name, rule, version, "input", iif=name, proto="udp", port=port)
                site.flows.append((self.path, flow))

    def _check_room(self, site: Site, bridge: BridgeLink) -> None:
        there = sum(link.master == bridge.name for link in site.base.of(Link, site.host))
        wanted = site.file.ports(self.name)
        if there + wanted > MOST_PORTS:
            message = (
                f"bridge {bridge.name} has {there:,} ports and would get {wanted:,} more; the kernel gives a bridge "
                f"{MOST_PORTS:,} at most."
            )
            site.refuse(self.at("uplink"), message, "Use another bridge for some of the guests.")

    def _check_foreign(self, site: Site, bridge: BridgeLink) -> None:
        """Refuse what of VLANs a bridge that isn't ours doesn't do, or is not ours to say."""
        if self.vlans and not bridge.vlan_filtering:
            message = f"bridge {bridge.name} tells no VLANs apart (vlan_filtering is off), and isn't ours to change."
            hint = f"Turn it on where that is made, as `ip link set {bridge.name} type bridge vlan_filtering 1` does."
            site.refuse(self.at("vlans"), message, hint)
        for key, value in (("vlan", self.vlan), ("host-vlan", self.host_vlan), ("uplink-vlans", self.uplink_vlans)):
            if self.vlans and value is not None:
                message = f"{key}: bridge {bridge.name} isn't ours, and has its own."
                site.refuse(self.at(key), message, f"Leave {key} out; a NIC's vlan and vlans are for you to say.")

    def link(self, site: Site) -> str:
        if self.uplink is not None and isinstance(site.uplink(self.uplink), BridgeLink):
            return self.uplink
        return site.name(self.name)[0]

    def plug(self, site: Site, seat: Seat) -> None:
        above = site.uplink(self.uplink) if self.uplink else None
        mtu = seat.mtu or (above and above.mtu) or USUAL_MTU
        self._check_ipv6(site, seat.nic.at("mtu") if seat.nic.mtu else self.at("mtu"), seat.mtu)
        # Nobody talks to a port, so it has no link-local address.
        foreign = isinstance(above, BridgeLink)
        vlans = self.vlans_of(seat, foreign=foreign)
        plug_in(site, seat, mtu, master=self.link(site), port=self._options(seat), vlans=vlans)

    def source(self, site: Site, seat: Seat) -> Source | None:
        options = self._options(seat)
        if self.vlans or options != PortOptions(isolated=options.isolated):
            return None  # of a port that libvirt makes nothing else can be chosen
        return Source("bridge", self.link(site), isolated=bool(options.isolated))

    def as_libvirt(self, site: Site, seats: Sequence[Seat]) -> tuple[libvirtxml.Network | None, list[str]]:
        from guestwire.daemons import libvirtxml

        name, told = f"{site.project}-{self.name}", list[str]()
        if self.vlans:
            told.append("VLANs: libvirt's ports of a Linux bridge have none.")
        if self.uplink is not None:
            return libvirtxml.Network(name, "bridge", bridge=libvirt_link(self.link(site))), told
        if self.forward:
            told.append("ports of the host's that lead to guests; a hook script of libvirt's may add them.")
        if self.dhcp and 6 in self.versions:
            told.append("libvirt's server keeps IPv6 addresses by name alone.")
        if self.port is not None:
            told.append("options of all ports; of a guest's only isolated is said, with its NIC.")
        mode, bridge = "nat" if self.nat else libvirtxml.ISOLATED, libvirt_link(self.link(site))
        ips = tuple(libvirt_ips(self.hosts(), self.subnet, seats, dhcp=self.dhcp))
        beyond = (NAT_IPV6,) if self.nat and 6 in self.versions else ()
        network = libvirtxml.Network(name, mode, (), bridge, self.stp, mtu=self.mtu, ips=ips, beyond=beyond)
        return network, told

    def host_addresses(self, site: Site) -> list[str]:
        if self.uplink is None:
            return super().host_addresses(site)
        return [str(host) for host in site.lan(self.uplink).hosts]

    def gateway_of(self, site: Site, version: int) -> str | None:
        return super().gateway_of(site, version) if self.uplink is None else site.lan(self.uplink).gateway(version)

    def candidates(self, site: Site, version: int) -> Iterator[str]:
        return super().candidates(site, version) if self.uplink is None else site.lan(self.uplink).candidates(version)

    def prefix(self, site: Site, address: str) -> int | None:
        return super().prefix(site, address) if self.uplink is None else site.lan(self.uplink).prefix(address)

    def _options(self, seat: Seat) -> PortOptions:
        """A port's options: the NIC's own before the network's before the kernel's.

        A guest that a port of the host's leads to may ask for itself by that: then its frames go back where they came
        from.
        """
        given = {"hairpin": True} if seat.guest in self.targets() else {}
        given |= {
            name: value
            for part in (self.port, seat.nic.port)
            if part is not None
            for name in type(part).model_fields
            if (value := getattr(part, name)) is not None
        }
        return PortOptions(**given)


def _is_on(picture: Picture, host: str, path: str) -> bool:
    found = picture.get(Key("", host, Sysctl.KIND, path))
    return isinstance(found, Sysctl) and found.content == "1"
