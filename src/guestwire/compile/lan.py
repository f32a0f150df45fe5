"""The segment behind an uplink, as guests on it need to know it: prefixes, gateways, and which addresses are free."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Interface, IPv6Interface, ip_address, ip_interface

from guestwire.kinds.address import Address
from guestwire.kinds.route import Route
from guestwire.picture import Picture
from guestwire.spec.addresses import unusable

__all__ = ["Lan"]

Interface = IPv4Interface | IPv6Interface


@dataclass(frozen=True)
class Lan:
    """What is known of a LAN. `hosts` are the host's addresses there; `free` says which guests may take (a lab's only),
    and `others` whose the remaining ones are, as "the neighbour's"."""

    hosts: tuple[Interface, ...] = ()
    gateways: tuple[str, ...] = ()
    free: tuple[int, ...] = ()
    others: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def behind(cls, base: Picture, netns: str, uplink: str) -> Lan:
        """The LAN behind a host's link, as far as the link's addresses and routes show it."""
        hosts = [ip_interface(a.interface) for a in base.of(Address, netns) if a.link == uplink]
        routes = [r for r in base.of(Route, netns) if r.link == uplink and r.is_default]
        return cls(tuple(hosts), tuple(route.gateway for route in routes if route.gateway))

    def gateway(self, version: int) -> str | None:
        """The gateway of that family, or None where none is known."""
        return next((g for g in self.gateways if ip_address(g).version == version), None)

    def whose(self, address: str) -> str | None:
        """Whose an address of the LAN is, or what it is, where no guest can have it: "the host's"; else None."""
        wanted = ip_address(address)
        if any(host.ip == wanted for host in self.hosts):
            return "the host's"
        if any(ip_address(gateway) == wanted for gateway in self.gateways):
            return "the gateway's"
        inside = (host.network for host in self.hosts if host.version == wanted.version and wanted in host.network)
        return self.others.get(str(wanted)) or next((what for net in inside if (what := unusable(wanted, net))), None)

    def prefix(self, address: str) -> int | None:
        """The prefix length of the LAN's network that holds `address`, or None."""
        wanted = ip_address(address)
        found = (host.network for host in self.hosts if host.version == wanted.version and wanted in host.network)
        return next((network.prefixlen for network in found), None)

    def candidates(self, version: int) -> Iterator[str]:
        """The addresses that a guest may be given, in the order in which they are."""
        for host in self.hosts:
            if host.version == version:
                first = str(host.network.network_address)
                head = first.rpartition(".")[0] + "." if version == 4 else first
                for number in self.free:
                    yield f"{head}{number}/{host.network.prefixlen}"
                return
