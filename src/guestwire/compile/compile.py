"""Compiles a file: every network, then every guest with its NICs' MACs, names and addresses."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from itertools import chain

from guestwire.compile.parts import BuiltGuest, BuiltNetwork
from guestwire.compile.site import Seat, Site
from guestwire.errors import FileError
from guestwire.kinds.address import Address
from guestwire.kinds.link import fits_ipv6
from guestwire.kinds.nft import Nft
from guestwire.kinds.vmnic import VmNic
from guestwire.spec.file import Instance
from guestwire.spec.models import Nic
from guestwire.spec.report import Where

__all__ = ["compile_file"]

VERSIONS = (4, 6)


def compile_file(site: Site) -> None:
    """Add all that the file asks for to `site.desired`; raises FileError with all that is wrong for this host."""
    for network in site.file.networks.values():
        assert isinstance(network, BuiltNetwork)
        site.where = network.path
        network.build(site)
    seating = _Seating(site)
    plugged: dict[str, list[Seat]] = {name: [] for name in site.file.networks}
    for instance in site.file.expand():
        guest = instance.guest
        assert isinstance(guest, BuiltGuest)
        site.where = guest.path
        seats = [seating.seat(instance, nic) for nic in guest.nics]
        guest.build(site, instance.name, seats)
        for seat in seats if instance.name not in site.absent else ():
            plugged[seat.nic.network].append(seat)
    for network in site.file.networks.values():
        assert isinstance(network, BuiltNetwork)
        site.where = network.path
        network.finish(site, plugged[network.name])
    if site.rules:
        site.add(Nft.table(site.host, f"inet guestwire-{site.project}", site.rules.text(), site.project))
    if site.problems:
        raise FileError(*site.problems)


class _Seating:
    """Gives each NIC what the file leaves open. An address that a NIC has keeps; so a changed file moves nobody."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.fixed = {
            str(a.ip if hasattr(a, "ip") else a) for g in site.file.guests.values() for n in g.nics for a in n.fixed
        }
        self.held: dict[tuple[str, str], list[str]] = {}
        for address in site.seen.of(Address):
            if address.owner == site.project:
                self.held.setdefault((address.netns, address.link), []).append(address.interface)
        for nic in site.seen.of(VmNic):
            if nic.owner == site.project:
                self.held.setdefault((f"{site.project}-{nic.guest}", nic.link), []).extend(nic.addresses)
        self.reserved: dict[tuple[str, str], list[str]] = {}
        """What a network's own server keeps, by the network's name and a NIC's MAC, else its guest's name."""
        for network in site.file.networks.values():
            assert isinstance(network, BuiltNetwork)
            for mac, guest, plain in network.reserved(site):
                whole = f"{plain}/{network.prefix(site, plain)}"
                self.reserved.setdefault((network.name, mac or guest), []).append(whole)
        self.taken = self.fixed | {
            host.partition("/")[0]
            for network in site.file.networks.values()
            if isinstance(network, BuiltNetwork)
            for host in network.host_addresses(site)
        }
        self.pools: dict[tuple[str, int], Iterator[str] | None] = {}
        self.strangers = [net for network in site.file.networks.values() for net in network.subnet]
        self.spans: dict[tuple[str, int], IPv4Network | IPv6Network | None] = {}
        self.kept: dict[tuple[str, int, int], str] = {}
        self.spent: set[tuple[str, int]] = set()
        self.warned: set[Where] = set()
        self._keep()

    def _keep(self) -> None:
        """First of all let every NIC that has an address of its network keep it."""
        for instance in self.site.file.expand():
            netns = f"{self.site.project}-{instance.name}"
            for nic in instance.guest.nics:
                for interface in self._having(instance, nic):
                    address = interface.partition("/")[0]
                    version = 6 if ":" in address else 4
                    if address not in self.taken and not nic.address and self._belongs(nic, interface, version):
                        self.kept[netns, nic.index, version] = interface
                        self.taken.add(address)

    def _having(self, instance: Instance, nic: Nic) -> list[str]:
        """The addresses that a NIC has; of a guest that sets itself up, those that it is given by its network."""
        assert isinstance(instance.guest, BuiltGuest)
        held = self.held.get((f"{self.site.project}-{instance.name}", self._link(instance, nic)), [])
        if instance.guest.HAS_NAMESPACE or not self.reserved:
            return held
        mac = nic.mac or self.site.mac(instance.name, str(nic.index))
        return held + [a for who in (mac, instance.name) for a in self.reserved.get((nic.network, who), ())]

    def _link(self, instance: Instance, nic: Nic) -> str:
        assert isinstance(instance.guest, BuiltGuest)
        return instance.guest.link_of(self.site, instance.name, nic)

    def _belongs(self, nic: Nic, interface: str, version: int) -> bool:
        """Whether an address that a NIC has is of the network that it is on now."""
        key = (nic.network, version)
        network = self.site.file.networks[nic.network]
        assert isinstance(network, BuiltNetwork)
        if key not in self.spans:
            first = next(network.candidates(self.site, version), None)
            self.spans[key] = ip_network(first, strict=False) if first else None
        span = self.spans[key]
        address, _, prefix = interface.partition("/")
        if span is None or int(prefix) != span.prefixlen:
            return False
        return ip_address(address) in span or (network.alone and network.prefix(self.site, address) is not None)

    def seat(self, instance: Instance, nic: Nic) -> Seat:
        """The NIC of a guest, with everything that it shall have."""
        site, guest = self.site, instance.name
        netns = f"{site.project}-{guest}"
        network = site.file.networks[nic.network]
        assert isinstance(network, BuiltNetwork)
        short, long = site.name(f"{guest}.{nic.index}")
        assert isinstance(instance.guest, BuiltGuest)
        given = instance.guest.takes_addresses(network)
        addresses = tuple(self._addresses(netns, nic, network, given))
        seat = Seat(
            guest=guest,
            netns=netns,
            link=self._link(instance, nic),
            nic=nic,
            mac=nic.mac or site.mac(guest, str(nic.index)),
            mtu=nic.mtu or network.mtu,
            addresses=addresses,
            dhcp=instance.guest.is_set_up and (nic.dhcp or self._asks(nic, network, addresses)),
            host_link=short,
            host_long=long,
            link_local=_has_ipv6(nic, network) and (not network.subnet or any(":" in each for each in addresses)),
            device=nic.device,
        )
        seat = site.seats[guest, nic.index] = instance.guest.sit(site, seat)
        return seat

    def _addresses(self, netns: str, nic: Nic, network: BuiltNetwork, given: bool) -> Iterator[str]:
        for address in nic.fixed:
            yield self._whole(nic, network, str(address))
        if nic.fixed or nic.dhcp or not given:
            return
        versions = VERSIONS if _has_ipv6(nic, network) else VERSIONS[:1]
        found = [self.kept.get((netns, nic.index, version)) or self._next(network, version) for version in versions]
        yield from filter(None, found)

    def _asks(self, nic: Nic, network: BuiltNetwork, addresses: tuple[str, ...]) -> bool:
        """Whether a NIC of which the file says nothing asks the LAN for its address: on a real one it does.

        `address: []` says something: none.
        """
        return not addresses and bool(network.uplink) and not self.site.lab and "address" not in nic.model_fields_set

    def _whole(self, nic: Nic, network: BuiltNetwork, address: str) -> str:
        if whose := network.whose(self.site, address.partition("/")[0]):
            message = f"address {address} is {whose} address on the LAN of uplink {network.uplink}."
            hint = "Use another, or leave it out." if self.site.lab else "Use another."
            self.site.refuse(nic.at("address"), message, hint)
        plain, given, _ = address.partition("/")
        if given and not network.alone:
            return address
        address, prefix = plain, network.prefix(self.site, plain)
        if prefix is None:
            message = f"address {address} has no prefix length, and nothing here says which network it is in."
            usual = 64 if ":" in address else 24
            self.site.refuse(nic.at("address"), message, f"Write it with its prefix, as {address}/{usual}.")
            prefix = ip_address(address).max_prefixlen
        return f"{address}/{prefix}"

    def _next(self, network: BuiltNetwork, version: int) -> str | None:
        pool = self._pool(network, version)
        if pool is None:
            return None
        for interface in pool:
            address = interface.partition("/")[0]
            if address not in self.taken and not (self.strangers and self._named_elsewhere(network, address)):
                self.taken.add(address)
                return interface
        if (network.name, version) not in self.spent:
            self.spent.add((network.name, version))
            message = f"no IPv{version} address is left for all of its guests."
            hint = "Give it a larger subnet, or fewer guests."
            if not network.subnet:
                hint = "A lab's LAN has 193 for guests: use a network with a subnet, or fewer guests."
            self.site.refuse(network.path, message, hint)
        return None

    def _pool(self, network: BuiltNetwork, version: int) -> Iterator[str] | None:
        """What is left of the network's addresses of a family; None where it gives none of that family."""
        key = (network.name, version)
        if key not in self.pools:
            candidates = network.candidates(self.site, version)
            first = next(candidates, None)
            self.pools[key] = None if first is None else chain([first], candidates)
        return self.pools[key]

    def _named_elsewhere(self, network: BuiltNetwork, address: str) -> bool:
        """Whether a LAN's address lies in a subnet that the file gives to some network."""
        return not network.subnet and any(ip_address(address) in net for net in self.strangers)


def _has_ipv6(nic: Nic, network: BuiltNetwork) -> bool:
    """Whether a NIC can have IPv6 at all: not with an MTU below what it needs."""
    return fits_ipv6(nic.mtu or network.mtu)
