"""What a make-believe outside is made of: cables between namespaces, and DHCP servers."""

from __future__ import annotations

from guestwire.daemons import dnsmasq
from guestwire.kinds.mark import derived_mac
from guestwire.kinds.port import Port
from guestwire.kinds.process import Process
from guestwire.kinds.veth import Veth

__all__ = ["cable", "dhcp_server"]


def cable(
    project: str, near: tuple[str, str], far: tuple[str, str], master: str = "", port: Port | None = None
) -> list[Veth]:
    """Both ends of a pair, each an end with a MAC of its own; the near one may be a bridge's port."""
    return [
        Veth(
            netns=netns,
            name=name,
            owner=project,
            peer=peer,
            mac=derived_mac(project, netns, name),
            master=master if netns == near[0] else "",
            port=port if netns == near[0] and master else None,
            far=(netns, name) == far,
        )
        for (netns, name), peer in ((near, far), (far, near))
    ]


def dhcp_server(
    netns: str, link: str, pidfile: str, span: tuple[str, str, str], gateway: str | None, owner: str | None
) -> Process:
    """What gives IPv4 addresses on a link: the first and last of a span, and its netmask, with the gateway's."""
    command = dnsmasq.command(
        pidfile,
        link,
        "--port=0",
        "--leasefile-ro",
        f"--dhcp-range={','.join(span)},1h",
        *([f"--dhcp-option=option:router,{gateway}"] if gateway else []),
    )
    return Process(netns=netns, name=pidfile, owner=owner, command=command)
