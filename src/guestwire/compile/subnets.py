"""Whether a network's subnets are free on this host: two links with one prefix, and the first of them takes all."""

from __future__ import annotations

from ipaddress import ip_interface, ip_network

from guestwire.compile.site import Site
from guestwire.kinds.address import Address
from guestwire.kinds.route import Route
from guestwire.spec.models import Network

__all__ = ["check_subnets"]


def check_subnets(site: Site, network: Network, but: str | None = None) -> None:
    """Refuse the subnets of a network in which the host has addresses or to which it has routes already.

    Not those `but` on that link, which is the network's own though it isn't ours.
    """
    there = [
        (ip_interface(a.interface).network, f"the host has {a.interface} on {a.link}")
        for a in site.base.of(Address, site.host)
        if but is None or a.link != but
    ] + [
        (ip_network(r.destination), f"the host has a route to {r.destination}{f' by {r.link}' if r.link else ''}")
        for r in site.base.of(Route, site.host)
        if not r.destination.endswith("/0") and (but is None or r.link != but)
    ]
    there += [(ip_network(net), f"{net} is {whose}") for net, whose in site.elsewhere]
    for net in network.subnet:
        found = next((why for other, why in there if other.version == net.version and other.overlaps(net)), None)
        if found:
            message = f"subnet {net} overlaps with what is there: {found}."
            site.refuse(network.at("subnet"), message, "Choose another subnet.")
