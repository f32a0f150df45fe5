"""A guest's NIC and the host's link for it: two ends of a veth, or a tap whose descriptor somebody holds."""

from __future__ import annotations

from typing import Any

from guestwire.compile.parts import BuiltNetwork
from guestwire.compile.site import Seat, Site
from guestwire.kinds import Link
from guestwire.kinds.link import USUAL_MTU
from guestwire.kinds.macvlan import Macvlan
from guestwire.kinds.tap import Tap
from guestwire.kinds.veth import Veth
from guestwire.picture import Key

__all__ = ["held_as", "plug_in"]

HELD = {"tap": Tap.KIND, "macvtap": Macvlan.KIND}
"""The kinds of the links that a descriptor can be had of, by what a file calls them."""


def plug_in(site: Site, seat: Seat, mtu: int, **own: Any) -> None:
    """Add the host's link for a NIC, with what is its `own` there; and the NIC, where it is that link's other end.

    Where the seat has a device, a tap or a tun, the NIC is the affair of whoever holds it.
    """
    near: dict[str, Any] = {
        "netns": site.host,
        "name": seat.host_link,
        "long": seat.host_long,
        "owner": site.project,
        "mac": None if seat.device == "tun" else site.mac(seat.guest, str(seat.nic.index), "port"),
        "mtu": mtu,
        "link_local": False,
        **own,
    }
    if seat.device is not None:
        tun = seat.device == "tun"
        site.add(Tap(**near, tun=tun, user=seat.user, group=seat.group, multi_queue=seat.queues > 1))
        return
    site.add(
        Veth(**near, peer=(seat.netns, seat.link)),
        Veth(
            netns=seat.netns,
            name=seat.link,
            owner=site.project,
            peer=(site.host, seat.host_link),
            mac=seat.mac,
            mtu=mtu,
            link_local=seat.link_local,
            master="",
            far=True,
        ),
    )


def held_as(site: Site, seat: Seat, network: BuiltNetwork) -> tuple[str | None, int]:
    """The MAC, and the MTU in bytes, of a NIC by whose descriptor the host's link is held, which is plugged in already.

    A macvtap hands on what is for its own MAC. In mode passthru, where none was given, that is its parent's.
    """
    assert seat.device is not None
    end = site.desired.picture.get(Key("", site.host, HELD[seat.device], seat.host_link))
    parent = site.uplink(network.uplink) if network.uplink else None
    assert isinstance(end, Link)
    mac = seat.mac if seat.device == "tap" else end.mac or (parent.mac if parent else None)
    return mac, end.mtu or (parent.mtu if parent else None) or USUAL_MTU
