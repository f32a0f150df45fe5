"""A guest's NIC and the host's link for it: two ends of a veth, or a tap whose descriptor somebody holds."""

from __future__ import annotations

from typing import Any

from guestwire.compile.site import Seat, Site
from guestwire.kinds.tap import Tap
from guestwire.kinds.veth import Veth

__all__ = ["plug_in"]


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
