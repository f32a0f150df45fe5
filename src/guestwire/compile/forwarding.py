"""Makes a host a router for a network's guests, with the fewest sysctls, each given back when nobody needs it any more.

IPv4: a packet is passed on where the link that it came in by forwards. So it is turned on for the guests' own links and
for those by which answers come. A link without it, and with it every network that is apart from the world because the
host doesn't forward, stays as it was; `ip_forward` would change them all, and those to come.

IPv6: there is one switch for the whole host, `net/ipv6/conf/all/forwarding`. (Linux 6.17 has one for each link; older
kernels don't.) With it on, a link takes a router's advertisements only where its accept_ra is 2; so each that takes
them now gets that first.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from guestwire.compile.site import Site
from guestwire.kinds import Link
from guestwire.kinds.address import Address
from guestwire.kinds.bridge import Bridge
from guestwire.kinds.route import Route
from guestwire.kinds.sysctl import IPV6_FORWARD, Sysctl
from guestwire.picture import Key, Picture

__all__ = ["forward", "looked_at", "way_out"]


def looked_at(seen: Picture, host: str) -> Iterator[Key]:
    """The sysctls that must be known before: which links of the host take routers' advertisements."""
    for link in seen.of(Link, host):
        if link.owner is None and not link.master:
            yield Sysctl.of(host, 6, link.name, "accept_ra", "").key


def forward(site: Site, versions: Iterable[int], own: Iterable[str], uplink: str | None = None) -> None:
    """Have the host pass packets between `own`, links of the project's, and all that the host itself reaches."""
    if 4 in versions:
        for name in own:
            site.add(Sysctl.of(site.host, 4, name, "forwarding", "1", site.project))
        ways = _ways_out(site)
        for name in dict.fromkeys([*ways, *([uplink] if uplink else [])]):
            passing = Sysctl.of(site.host, 4, name, "forwarding", "1", site.project)
            if name in ways and ways[name].owner == site.project:
                site.add(passing)
            else:
                site.take(replace(passing, owner=None))
    if 6 in versions:
        masters = {link.name: link.master for link in site.desired.picture.of(Link, site.host) if link.owner is None}
        for key in looked_at(site.base, site.host):
            taking = site.base.get(key)
            if isinstance(taking, Sysctl) and taking.content in ("1", "2"):
                bridge = masters.get(taking.on_links()[0][1], "")  # to which what a router advertises goes along
                if bridge:
                    site.add(Sysctl.of(site.host, 6, bridge, "accept_ra", "2", site.project))
                else:
                    site.take(Sysctl(netns=site.host, name=key.name, content="2"))
        site.take(Sysctl(netns=site.host, name=IPV6_FORWARD, content="1"))


def way_out(site: Site, version: int) -> str | None:
    """The link by which the host's default route of that family leads, or None."""
    routes = [*site.desired.picture.of(Route, site.host), *site.base.of(Route, site.host)]
    return next((r.link for r in routes if r.family == version and r.destination.endswith("/0") and r.link), None)


def _ways_out(site: Site) -> dict[str, Link]:
    """The links by which the host reaches others over IPv4, by their names: those with an address.

    Not a bridge that nothing leads out of, nor a link of another project's: what is apart stays so.
    """
    addressed = {a.link for a in site.desired.picture.of(Address, site.host) if a.family == 4}
    addressed |= {a.link for a in site.base.of(Address, site.host) if a.family == 4}
    routes = [*site.base.of(Route, site.host), *site.desired.picture.of(Route, site.host)]
    beyond = {route.link for route in routes if route.gateway}
    base, ours = ({link.name: link for link in p.of(Link, site.host)} for p in (site.base, site.desired.picture))
    uplinks = {network.uplink for network in site.file.networks.values()}
    beyond |= {link.master for link in ours.values() if link.name in uplinks}
    found = {}
    for name in sorted(addressed | {link for link in beyond if link}):
        link = ours.get(name) or base.get(name)
        if link is None or link.master or link.owner not in (None, site.project):
            continue
        if not isinstance(link, Bridge) or name in beyond:
            found[name] = link
    return found
