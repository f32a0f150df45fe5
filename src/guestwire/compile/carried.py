"""What a host's NIC has goes along to the bridge that it becomes a port of: on a port it would be dead.

Addresses, routes, rules and neighbours go as they are, what a router or a DHCP server has given with the
lifetimes that are left; and the NIC's sysctls, as far as they aren't what new links have. None of it becomes ours: it
lies on our bridge as it lay on the NIC, without a mark. The bridge has the NIC's MAC, so that neighbours notice
nothing, and a DHCP client that asks on it gets the address that it had.
"""

from __future__ import annotations

from collections.abc import Iterator

from guestwire.compile.site import Site
from guestwire.kinds import Link, Thing
from guestwire.kinds.address import Address
from guestwire.kinds.dhcp import DhcpClient
from guestwire.kinds.hostclient import HostClient
from guestwire.kinds.learnt import Learnt
from guestwire.kinds.linklocal import LinkLocal
from guestwire.kinds.neighbour import Neighbour
from guestwire.kinds.prefixroute import PrefixRoute
from guestwire.kinds.proxy import Proxy
from guestwire.kinds.rule import Rule
from guestwire.kinds.sysctl import Sysctl
from guestwire.kinds.tableroute import TableRoute
from guestwire.picture import Key
from guestwire.spec.models import Network

__all__ = ["carry", "has_link_local", "to_look_up"]

ASKED = (HostClient, Learnt, LinkLocal, Neighbour, PrefixRoute, Proxy, Rule, TableRoute)
"""The kinds of what is read only where somebody asks."""
SETTINGS = {
    4: """
        accept_local accept_redirects accept_source_route arp_accept arp_announce arp_evict_nocarrier arp_filter
        arp_ignore arp_notify bc_forwarding disable_policy disable_xfrm drop_gratuitous_arp
        drop_unicast_in_l2_multicast force_igmp_version forwarding ignore_routes_with_linkdown log_martians medium_id
        promote_secondaries proxy_arp proxy_arp_pvlan route_localnet rp_filter secure_redirects send_redirects
        shared_media src_valid_mark
    """,
    6: """
        accept_dad accept_ra accept_ra_defrtr accept_ra_from_local accept_ra_min_hop_limit accept_ra_min_lft
        accept_ra_mtu accept_ra_pinfo accept_ra_rt_info_max_plen accept_ra_rt_info_min_plen accept_ra_rtr_pref
        accept_redirects accept_source_route accept_untracked_na autoconf dad_transmits disable_ipv6
        drop_unicast_in_l2_multicast drop_unsolicited_na enhanced_dad force_mld_version forwarding hop_limit
        ignore_routes_with_linkdown keep_addr_on_down max_addresses max_desync_factor ndisc_notify ndisc_tclass
        optimistic_dad proxy_ndp ra_defrtr_metric regen_max_retry router_probe_interval router_solicitations
        seg6_enabled suppress_frag_ndisc temp_prefered_lft temp_valid_lft use_oif_addrs_only use_optimistic
        use_tempaddr
    """,
}
"""The sysctls of a link that go along; Documentation/networking/ip-sysctl.rst tells of each."""


def carry(site: Site, network: Network, link: Link, bridge: str, *, is_port: bool) -> None:
    """Move what a NIC has to our bridge; refused is what has something that nothing here knows.

    What is learnt on one that `is_port` already is nobody's: it passes by itself.
    """
    having = [value for value in site.base if isinstance(value, Thing) and value.netns == site.host]
    _check_leases(site, network, link, having)
    for value in having:
        moved = value.moved(link.name, bridge)
        if moved is None or (is_port and isinstance(value, Learnt)):
            continue
        if why := value.uncarried():
            message = f"uplink {link.name} has {value.KIND} {value.name}, which can't go to a bridge: {why}."
            hint = f"Take it away first: `{'; '.join(value.delete_commands())}`. Or use type macvtap."
            if isinstance(value, HostClient):
                hint = f"Run one for {link.name} alone, or give {link.name} a fixed address. Or use type macvtap."
            site.refuse(network.at("uplink"), message, hint)
        site.move(value, moved)
    if not site.lab:
        site.add(*_settings(site, link.name, bridge))


def _check_leases(site: Site, network: Network, link: Link, having: list[Thing]) -> None:
    """Refuse a NIC whose address would end on the bridge, since whoever renews it isn't known; else say who does."""
    where = network.at("uplink")
    here = [value for value in having if value.key in site.seen and not site.lab]
    clients = [value for value in here if isinstance(value, HostClient) and link.name in value.links]
    for client in clients:
        message = f"`{client.name}` (pid {client.pid}) asks DHCP servers on {link.name}; it is killed and started anew."
        hint = "Its script may take the address away until the server has given it again, a second or so."
        site.warn(where, message, hint)
    for address in (v for v in here if isinstance(v, Address) and v.link == link.name and v.temporary):
        message = f"temporary address {address.interface} of uplink {link.name} goes along as an ordinary one."
        site.warn(where, message, "The kernel lets nobody say that it is temporary; it ends when it would have.")
    held = [v for v in here if isinstance(v, Address) and v.link == link.name and v.family == 4]
    leased = [address for address in held if address.ends]
    if not leased or clients or any(isinstance(v, DhcpClient) and v.link == link.name for v in having):
        return
    message = (
        f"address {leased[0].interface} of uplink {link.name} ends in {leased[0].lifetimes[1]} s, and the DHCP client "
        "that renews it isn't a program by itself, as those of systemd-networkd and NetworkManager aren't."
    )
    hint = (
        f"Let whoever configures {link.name} make a bridge of it, which asks itself, and name that as the uplink; or "
        "give it a fixed address first."
    )
    (site.refuse if len(leased) == len(held) else site.warn)(where, message, hint)


def has_link_local(site: Site, link: Link) -> bool:
    """Whether a link has a link-local address that goes along, so that a bridge must get none of its own."""
    return any(address.link == link.name for address in site.base.of(LinkLocal, site.host))


def to_look_up(host: str, link: str) -> Iterator[Key]:
    """What must be read for all that a link has to go along: kinds, its settings, and those that new links have."""
    yield from (Key("", host, kind.KIND, "") for kind in ASKED)
    for name in (link, "default"):
        for family, names in SETTINGS.items():
            yield from (Sysctl.of(host, family, name, each, "").key for each in names.split())


def _settings(site: Site, link: str, bridge: str) -> Iterator[Sysctl]:
    """The sysctls by which the NIC differs from new links, for the bridge."""
    for family, names in SETTINGS.items():
        for name in names.split():
            own, new = (site.seen.get(Sysctl.of(site.host, family, each, name, "").key) for each in (link, "default"))
            if isinstance(own, Sysctl) and isinstance(new, Sysctl) and own.content and own.content != new.content:
                yield Sysctl.of(site.host, family, bridge, name, own.content, site.project)
