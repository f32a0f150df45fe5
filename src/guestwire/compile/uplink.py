"""What a network may do with an uplink: the checks that need the host, and taking along all that the NIC has."""

from __future__ import annotations

from dataclasses import replace

from guestwire.compile.carried import carry
from guestwire.compile.site import Site
from guestwire.daemons.owners import nic_owners
from guestwire.kinds import Link
from guestwire.kinds.bridge import Bridge
from guestwire.kinds.child import Child
from guestwire.kinds.link import USUAL_MTU
from guestwire.kinds.nic import Nic
from guestwire.kinds.port import Port
from guestwire.kinds.tap import Tap
from guestwire.kinds.vlans import Vlans
from guestwire.spec.models import Network
from guestwire.spec.report import Where

__all__ = ["enslave", "find", "raise_up", "see_carrier", "take_whole"]

WITHOUT_MACS = "Use type routed, or a bridge with nat and a subnet of its own, without uplink."


def find(site: Site, network: Network, name: str, *, one_mac: bool = False) -> Link | None:
    """The uplink, where the host has it and it can be one; else None, and the file is refused with why.

    `one_mac` says that no guest's own MAC will be on the wire.
    """
    where = network.at("uplink")
    link = site.uplink(name)
    if link is None:
        known = sorted(other.name for other in site.base.of(Link, site.host) if not other.master)
        has = f"It has {', '.join(known[:8])}{' …' if len(known) > 8 else ''}." if known else "It has no link but lo."
        site.refuse(where, f"the host has no link {name}.", f"{has} A lab makes one of any name: `guestwire up --lab`.")
        return None
    if (isinstance(link, Nic) and not link.ethernet) or (isinstance(link, Tap) and link.tun):
        site.refuse(where, f"uplink {name} carries no Ethernet frames.", "Use a NIC.")
        return None
    if isinstance(link, Nic) and link.wireless and not one_mac:
        message = (
            f"uplink {name} is Wi-Fi: its access point admits this host's MAC only, so no guest's frame would pass."
        )
        site.refuse(where, message, WITHOUT_MACS)
        return None
    if isinstance(link, Child) and link.mode != "passthru" and (not one_mac or network.type == link.KIND):
        below = link.parent[1] if link.parent and link.parent[0] == site.host else None
        message = (
            f"uplink {name} is itself a child of {below or 'another NIC'} ({link.device}), which shows it its own "
            "frames only: none of a guest's would come in."
        )
        site.refuse(where, message, f"Use what it is on: `uplink: {below}`." if below else WITHOUT_MACS)
        return None
    if isinstance(link, Bridge) and link.owner is not None:
        message = f"uplink {name} is the bridge of project {link.owner}, and goes when that goes."
        site.refuse(where, message, f"Put the guests into that project's file, or {_take_down(link.owner)}")
        return None
    if link.master:
        master = next((m for m in site.base.of(Link, site.host) if m.name == link.master), None)
        kind = master.KIND if master else "link"
        message = f"uplink {name} is already a port of {kind} {link.master} (a NIC can have one master)."
        if master is not None and master.owner is not None:
            message = f"uplink {name} is a port of {kind} {link.master}, which is project {master.owner}'s."
            hint = f"Use another uplink, or {_take_down(master.owner)}"
        elif kind == Bridge.KIND:
            hint = f"Use the bridge as the uplink: `uplink: {link.master}`."
        else:
            hint = "Use another uplink."
        site.refuse(where, message, hint)
        return None
    _check_mtu(site, network, link)
    return link


def _check_mtu(site: Site, network: Network, link: Link) -> None:
    """Refuse an MTU, the network's or a NIC's, that is over the uplink's: the kernel would, or big frames be lost."""
    most = link.mtu or USUAL_MTU
    nics = [plug.nic for plug in site.file.plugs(network.name)]
    for where, mtu in [(network.at("mtu"), network.mtu), *((nic.at("mtu"), nic.mtu) for nic in nics)]:
        if mtu is not None and mtu > most:
            message = f"mtu {mtu} is over the {most} of uplink {link.name}."
            site.refuse(
                where, message, f"Write {most} or less" + ("." if site.lab else ", or raise the uplink's first.")
            )


def _take_down(project: str) -> str:
    return f"take that down first, if it is this file's under another name: `guestwire down --project {project}`."


def raise_up(site: Site, link: Link, mac: str | None = None) -> None:
    """Have the uplink set up: no child of it goes up before.

    With `mac` it gets that, which its passthru child shares.
    """
    raised = replace(link, up=True, mac=mac or link.mac)
    if raised != link:
        site.take(raised)


def see_carrier(site: Site, network: Network, link: Link) -> None:
    """Warn where a parent hears nobody: its children have its carrier, and without one not even each other."""
    if link.up and not link.carrier and not site.lab:
        message = f"uplink {link.name} has no carrier: until it has one, its guests don't even reach one another."
        site.warn(network.at("uplink"), message, "Plug its cable in, or set up what is at the other end.")


def take_whole(site: Site, where: Where, link: Link) -> None:
    """Warn where the host has addresses on a NIC of which all frames are to be a guest's."""
    hosts = site.lan(link.name).hosts
    if hosts and not site.lab:  # there every uplink has some
        message = f"uplink {link.name} has the host's {hosts[0]}, and all that comes in by it is to be the guest's."
        hint = "The host hears nobody there any more. Use a NIC that it can do without, or another mode."
        site.warn(where, message, hint)


def enslave(site: Site, network: Network, link: Link, bridge: str, vlans: Vlans | None) -> None:
    """Make a NIC a port of our bridge, and move there what it has: on a port it would be dead."""
    there = next((other for other in site.seen.of(Link, site.host) if other.name == link.name), None)
    is_port = there is not None and there.master == bridge
    carry(site, network, link, bridge, is_port=is_port)
    port = replace(link, up=True, master=bridge, port=Port(), vlans=vlans)
    if not site.lab:
        _name_owners(site, network, link)
        if there is not None and not is_port:
            site.moving.append((network.at("uplink"), there, bridge))
        # Its link-local address is the bridge's now, as its MAC is; set up later, it would get that itself as well.
        port = replace(port, link_local=False)
    site.take(port)


def _name_owners(site: Site, network: Network, link: Link) -> None:
    """Warn of who configures the NIC, and would again: as long as its files say so."""
    for owner in nic_owners(link.name, link.index) if not site.host else ():
        message = (
            f"{owner.program} configures uplink {link.name} ({owner.evidence}), and may set it up again by itself."
        )
        hint = f"Have it leave the NIC alone: {owner.remedy}. Or have it make the bridge, and name that as the uplink."
        site.warn(network.at("uplink"), message, hint)
