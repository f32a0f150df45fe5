"""A host as it stands, whoever made it, and of a project what is there: for `draw`, and `status` without a file."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from typing import Any

from guestwire.api.domains import libvirts, with_domains
from guestwire.api.situation import meant
from guestwire.api.work import ports_of, related, see_there
from guestwire.apply import Store, projects
from guestwire.errors import Unavailable
from guestwire.kinds import Link
from guestwire.kinds.address import Address
from guestwire.kinds.bridge import Bridge
from guestwire.kinds.cable import Cable
from guestwire.kinds.child import Child
from guestwire.kinds.vmnic import VmNic
from guestwire.linux import namespaces
from guestwire.linux.kernel import Kernel
from guestwire.observe import look_up, observe
from guestwire.picture import Picture

__all__ = ["everything", "host", "picture"]


def picture(path: str | None, *, lab: bool = False, project: str | None = None, netns: str | None = None) -> Picture:
    """What is there of a project: its host and its namespaces. Raises as `status` does."""
    where = meant(path, lab=lab, project=project, netns=netns)
    own = [where.host, *related(where.project)]
    with Kernel() as kernel:
        seen = observe(kernel, where.host, [*own, *namespaces.names()])  # all, to know where our links lead
        far = {place for value in seen.of(Link) if value.netns in own for place in value.on_links()}
        drawn = (v for v in seen if v.netns in own or (isinstance(v, Link) and v.place in far))
        return with_domains(kernel, _with_guests(kernel, Picture(drawn, own)), where.host)


def everything(netns: str | None = None) -> Picture:
    """The whole of a host, whoever made it: its own namespace, and every named one. Raises UsageError without it."""
    see_there(netns)
    with Kernel() as kernel:
        seen = _with_guests(kernel, observe(kernel, netns or "", namespaces.names()))
        return with_domains(kernel, seen, netns or "")


def _with_guests(kernel: Kernel, seen: Picture) -> Picture:
    """A picture with machines' NICs and the cables between its namespaces too, as far as we may ask their processes."""
    with contextlib.suppress(Unavailable):
        seen.add(*(cable for cable in Cable.read_all(kernel, None) if cable.netns in seen.scope))
    states = [state for project in projects() if (state := Store(project).standing()) is not None]
    look_up(
        kernel, seen, [key for s in states for key in s.named if key.kind == VmNic.KIND and key.netns in seen.scope]
    )
    return seen


def host(netns: str | None = None) -> dict[str, Any]:
    """A host as it stands, whoever made it: bridges and macvlan parents as networks, in status's document.

    Raises UsageError where there is no such host.
    """
    see_there(netns)
    with Kernel() as kernel:
        seen = with_domains(kernel, observe(kernel, netns or "", namespaces.names()), netns or "")
    where = netns or ""
    links = seen.of(Link, where)
    addresses: dict[str, list[str]] = {}
    for address in seen.of(Address, where):
        addresses.setdefault(address.link, []).append(address.interface)
    ports = ports_of(links)
    children: dict[str, list[Child]] = {}
    for child in seen.of(Child):
        if child.parent and child.parent[0] == where:
            children.setdefault(child.parent[1], []).append(child)

    def network(name: str, kind: str, plugged: Iterable[str]) -> dict[str, Any]:
        return {
            "name": name,
            "type": kind,
            "link": name,
            "ports": sorted(plugged),
            "addresses": addresses.get(name, []),
        }

    networks = [network(each.name, each.KIND, ports.get(each.name, [])) for each in links if isinstance(each, Bridge)]
    for parent, begot in children.items():
        names = (child.name if child.netns == where else f"{child.netns}:{child.name}" for child in begot)
        modes = sorted({f"{child.device} {child.mode}" for child in begot})
        networks.append(network(parent, ", ".join(modes), names))
    plugged = {port for network in networks for port in (network["link"], *network["ports"])}
    loose = [
        {
            "name": link.name,
            "device": link.label(),
            "up": link.up,
            "carrier": link.carrier,
            "addresses": addresses.get(link.name, []),
        }
        for link in links
        if link.name not in plugged
    ]
    return {"project": None, "guests": [], "networks": networks, "links": loose, "drift": [], **libvirts(seen)}
