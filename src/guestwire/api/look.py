"""status, list and draw: what only looks at a host."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from guestwire import rootless
from guestwire.api.situation import Situation, related, see_settled, situation, usual_file
from guestwire.apply import State, Store, projects
from guestwire.compile import BuiltNetwork
from guestwire.compile.dhcp import lease_file
from guestwire.daemons.dnsmasq import leases
from guestwire.errors import FileError
from guestwire.kinds import Link
from guestwire.kinds.address import Address
from guestwire.kinds.bridge import Bridge
from guestwire.kinds.macvlan import Macvlan
from guestwire.kinds.namespace import Namespace
from guestwire.linux import namespaces
from guestwire.linux.kernel import Kernel
from guestwire.observe import observe
from guestwire.picture import Key, Picture
from guestwire.plan import Plan, Step
from guestwire.spec.file import Instance
from guestwire.spec.models import Nic

__all__ = ["Listed", "Status", "everything", "host", "list_projects", "picture", "status"]


@dataclass(frozen=True)
class Status:
    """A project on its host: what is there of its guests and networks, and where that differs from the file."""

    where: Situation
    plan: Plan
    seen: Picture

    @property
    def drift(self) -> list[Step]:
        """The steps that `up` would take. All of them, where nothing is up."""
        return self.plan.steps

    @property
    def is_up(self) -> bool:
        """Whether the project was built and not taken down."""
        return self.where.state is not None

    def to_json(self) -> dict[str, Any]:
        """The document of cli.md for status."""
        return {
            "project": self.where.project,
            "up": self.is_up,
            "lab": self.where.lab,
            "enter": self.where.way_in,
            "guests": [self._guest(instance) for instance in self.where.file.expand()],
            "networks": [
                self._network(network)
                for network in self.where.file.networks.values()
                if isinstance(network, BuiltNetwork)
            ],
            "drift": [_drift(step) for step in self.drift],
        }

    def _guest(self, instance: Instance) -> dict[str, Any]:
        netns = f"{self.where.project}-{instance.name}"
        there = Key("", netns, Namespace.KIND, netns) in self.seen
        nics = [self._nic(netns, nic) for nic in instance.guest.nics]
        up = there and all(nic["up"] for nic in nics)
        return {
            "name": instance.name,
            "kind": instance.guest.kind,
            "state": "up" if up else "down",
            "nics": [{name: value for name, value in nic.items() if name != "up"} for nic in nics],
        }

    def _nic(self, netns: str, nic: Nic) -> dict[str, Any]:
        link = self._links.get((netns, nic.link))
        peer = getattr(link, "peer", None)
        return {
            "name": nic.link,
            "network": nic.network,
            "device": link.trial_name() if link else None,
            "mac": link.mac if link else None,
            "addresses": self._addresses.get((netns, nic.link), []),
            "host_link": peer[1] if peer else None,
            "up": bool(link and link.up),
        }

    def _network(self, network: BuiltNetwork) -> dict[str, Any]:
        name = network.link(self.where.site) if self.where.site else ""
        own = [link for link in self._links.values() if link.netns == self.where.host]
        if network.alone:
            ends = {
                (f"{self.where.project}-{instance.name}", nic.link)
                for instance in self.where.file.expand()
                for nic in instance.guest.nics
                if nic.network == network.name
            }
            ports = sorted(link.name for link in own if getattr(link, "peer", None) in ends)
        else:
            ports = sorted(link.name for link in own if link.master == name)
        there = (self.where.host, name) in self._links
        link = name if there else None
        found: dict[str, Any] = {
            "name": network.name,
            "type": network.type,
            "link": link,
            "missing": bool(name) and not there,
            "ports": ports,
        }
        if network.name_servers() and self.where.site:
            found["leases"] = [lease._asdict() for lease in leases(lease_file(self.where.site, network))]
        return found

    @cached_property
    def _links(self) -> dict[tuple[str, str], Link]:
        return {(link.netns, link.name): link for link in self.seen.of(Link)}

    @cached_property
    def _addresses(self) -> dict[tuple[str, str], list[str]]:
        found: dict[tuple[str, str], list[str]] = {}
        for address in self.seen.of(Address):
            found.setdefault((address.netns, address.link), []).append(address.interface)
        return found


def _drift(step: Step) -> dict[str, Any]:
    differs = step.value.differs(step.before) if step.action == "change" and step.before else {}
    return {
        "action": step.action,
        "kind": step.key.kind,
        "name": step.key.name,
        "netns": step.key.netns,
        "differs": {name: {"is": old, "should be": new} for name, (old, new) in differs.items()},
    }


def status(
    path: str | None = None, *, lab: bool = False, project: str | None = None, netns: str | None = None
) -> Status:
    """How a project stands. Nothing is changed; raises FileError where the file is wrong."""
    where = situation(usual_file(path, project), lab=lab, project=project, netns=netns)
    with Kernel() as kernel:
        see_settled(kernel, where)
        try:
            made = where.plan(kernel)
        except FileError:
            if where.state is not None:
                raise
            # Nothing is up, and the file doesn't fit this host: `plan` and `up` say why, here it is beside the point.
            made, where.seen = Plan(where.project, []), observe(kernel, where.host, related(where.project))
    assert where.seen is not None
    return Status(where, made, where.seen)


@dataclass(frozen=True)
class Listed:
    """A project that is up, or has an unsettled journal."""

    name: str
    state: State | None
    unsettled: bool
    guests: int

    def to_json(self) -> dict[str, Any]:
        """As JSON knows it."""
        return {
            "project": self.name,
            "lab": self.state.lab if self.state else None,
            "host": self.state.host if self.state else None,
            "file": self.state.file if self.state else None,
            "namespaces": self.guests,
            "unsettled": self.unsettled,
        }


def list_projects() -> list[Listed]:
    """Every project on this machine; an ordinary user's labs too, as they are seen through their keepers' roots."""
    names = namespaces.names()
    mine = [_lab_of(holder) for holder in rootless.holders()]
    return mine + [
        Listed(
            project,
            (store := Store(project)).state(),
            store.journal() is not None,
            _count(project, names, projects()),
        )
        for project in projects()
    ]


def _count(project: str, names: list[str], known: list[str]) -> int:
    """How many of the namespaces are the project's; another's may begin alike, as those of `lab-2` beside `lab`."""
    others = tuple(f"{other}{mark}" for other in known if other.startswith(f"{project}-") for mark in "-.")
    return sum(name.startswith((f"{project}-", f"{project}.")) and not name.startswith(others) for name in names)


def _lab_of(holder: rootless.Holder) -> Listed:
    root = f"/proc/{holder.pid}/root"
    names = os.listdir(f"{root}{namespaces.FOLDER}") if os.path.isdir(f"{root}{namespaces.FOLDER}") else []
    store = Store(holder.project, root)
    return Listed(holder.project, store.state(), store.journal() is not None, _count(holder.project, names, []))


def picture(path: str | None, *, lab: bool = False, netns: str | None = None) -> Picture:
    """What is there of a project: its host and its namespaces."""
    where = situation(usual_file(path, None), lab=lab, project=None, netns=netns)
    with Kernel() as kernel:
        return observe(kernel, where.host, related(where.project))


def everything(netns: str | None = None) -> Picture:
    """The whole of a host, whoever made it: its own namespace, and every named one."""
    with Kernel() as kernel:
        return observe(kernel, netns or "", namespaces.names())


def host(netns: str | None = None) -> dict[str, Any]:
    """A host as it stands, whoever made it: bridges and macvlan parents as networks, in status's document."""
    with Kernel() as kernel:
        seen = observe(kernel, netns or "", namespaces.names())
    where = netns or ""
    links = seen.of(Link, where)
    networks = [
        {
            "name": link.name,
            "type": link.KIND,
            "link": link.name,
            "ports": sorted(port.name for port in links if port.master == link.name),
            "addresses": [a.interface for a in seen.of(Address, where) if a.link == link.name],
        }
        for link in links
        if isinstance(link, Bridge)
    ]
    parents: dict[str, list[Macvlan]] = {}
    for child in seen.of(Macvlan):
        if child.parent and child.parent[0] == where:
            parents.setdefault(child.parent[1], []).append(child)
    for parent, children in parents.items():
        ports = sorted(child.name if child.netns == where else f"{child.netns}:{child.name}" for child in children)
        modes = sorted({f"{child.device} {child.mode}" for child in children})
        addresses = [a.interface for a in seen.of(Address, where) if a.link == parent]
        networks.append(
            {"name": parent, "type": ", ".join(modes), "link": parent, "ports": ports, "addresses": addresses}
        )
    plugged = {port for network in networks for port in (network["link"], *network["ports"])}
    loose = [
        {
            "name": link.name,
            "device": link.label(),
            "up": link.up,
            "carrier": link.carrier,
            "addresses": [a.interface for a in seen.of(Address, where) if a.link == link.name],
        }
        for link in links
        if link.name not in plugged
    ]
    return {"project": None, "guests": [], "networks": networks, "links": loose, "drift": []}
