"""What a libvirt that runs here has, as part of a host's picture: domains, their NICs, networks; whoever made them."""

from __future__ import annotations

import contextlib
from typing import Any

from guestwire.daemons import libvirt
from guestwire.errors import Unavailable
from guestwire.kinds.domain import Domain
from guestwire.kinds.domainnic import DomainNic
from guestwire.kinds.libvirtnetwork import LibvirtNetwork
from guestwire.linux.kernel import Kernel
from guestwire.picture import Picture

__all__ = ["libvirts", "with_domains"]


def with_domains(kernel: Kernel, seen: Picture, host: str) -> Picture:
    """A picture with the domains, their NICs and the networks of the libvirt on that host.

    Nobody is asked where no libvirtd runs, or where libvirt-python is missing; one that hangs costs some seconds, and
    is left out. Links that libvirt makes are where libvirtd is: on another host there are none of it.
    """
    if not libvirt.is_running():
        return seen
    with contextlib.suppress(Unavailable, OSError):
        libvirt.connect(seconds=libvirt.LOOKING)
        domains = list(Domain.read_all(kernel, None, host))
        networks = list(LibvirtNetwork.read_all(kernel, None, host))
        nics = list(DomainNic.read_all(kernel, None, host)) if domains else []
        links = {nic.link for nic in nics if nic.link} | {each.bridge for each in networks if each.bridge}
        if not any(domain.elsewhere for domain in domains) and (domains or not links or links & _names(seen, host)):
            seen.add(*(value for value in (*domains, *networks, *nics) if value.key not in seen))
    return seen


def _names(seen: Picture, host: str) -> set[str]:
    return {value.name for value in seen if value.netns == host}


def libvirts(seen: Picture) -> dict[str, Any]:
    """The domains and libvirt's networks of a picture, as JSON knows them; nothing where there is none of either."""
    nics: dict[str, list[DomainNic]] = {}
    for nic in seen.of(DomainNic):
        nics.setdefault(nic.name.rpartition("/")[0], []).append(nic)
    domains = [
        {
            "name": domain.name,
            "running": domain.running,
            "nics": [
                {**nic.told(), "type": nic.type, "source": nic.source, "project": nic.owner}
                for nic in nics.get(domain.name, ())
            ],
        }
        for domain in sorted(seen.of(Domain), key=lambda domain: domain.name)
    ]
    networks = [
        {
            "name": each.name,
            "forward": each.network.mode or "isolated",
            "link": each.bridge or " ".join(each.network.devices) or None,
            "active": bool(each.active),
            "project": each.owner,
        }
        for each in sorted(seen.of(LibvirtNetwork), key=lambda each: each.name)
    ]
    return {"domains": domains, "libvirt": networks} if domains or networks else {}
