"""What a network is in libvirt's words: its addresses, and what its DHCP server keeps for guests' NICs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from ipaddress import ip_address
from typing import TYPE_CHECKING

from guestwire.compile.site import Seat
from guestwire.spec.addresses import Host, Subnet

if TYPE_CHECKING:
    from guestwire.daemons import libvirtparts

__all__ = ["NAT_IPV6", "libvirt_ips", "libvirt_link"]

NAT_IPV6 = 'forward <nat ipv6="yes"></nat>'
"""Without it libvirt's NAT is IPv4's alone."""
LAST = 0xFFFF  # in the last 16 bits: of a range libvirt wants all before them to be the same


def libvirt_link(name: str) -> str:
    """A link's name as libvirt's schemas admit it: ours that are shortened have a ~."""
    return name.replace("~", "-")


def libvirt_ips(
    hosts: Iterable[Host], subnets: Iterable[Subnet], seats: Sequence[Seat], *, dhcp: bool
) -> Iterator[libvirtparts.Ip]:
    """The addresses that the bridge has; with `dhcp` the others of each subnet are given out.

    Those of `seats` are kept for them.
    """
    from guestwire.daemons import libvirtparts

    for host, net in zip(hosts, subnets, strict=True):
        if not dhcp:
            yield libvirtparts.Ip(str(host.ip), net.prefixlen)
            continue
        found = [(seat, ip_address(each.partition("/")[0])) for seat in seats for each in seat.addresses]
        kept = tuple(
            libvirtparts.Host(seat.mac if net.version == 4 else "", str(address), seat.guest)
            for seat, address in found
            if address.version == net.version
        )
        first = int(net.network_address) + 1
        first += first == int(host.ip)
        last = min(int(net.network_address) + net.num_addresses - (2 if net.version == 4 else 1), first | LAST)
        start, end = (str(net[number - int(net.network_address)]) for number in (first, last))
        yield libvirtparts.Ip(str(host.ip), net.prefixlen, ((start, end),), kept)
