"""status and list: how a project stands, and which there are."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from guestwire import rootless
from guestwire.api.domains import libvirts, with_domains
from guestwire.api.foreseen import NOTHING, Foreseen
from guestwire.api.situation import Situation, meant, see_settled
from guestwire.api.work import ports_of, related, store_of
from guestwire.apply import Journal, State, Store, projects
from guestwire.compile import BuiltGuest, BuiltNetwork, Seat
from guestwire.errors import FileError
from guestwire.kinds import Link
from guestwire.kinds.address import Address
from guestwire.kinds.cable import Cable
from guestwire.kinds.dhcp import DhcpClient
from guestwire.kinds.namespace import Namespace
from guestwire.kinds.tap import Tap
from guestwire.linux import namespaces
from guestwire.linux.kernel import Kernel
from guestwire.linux.userns import capable
from guestwire.observe import observe
from guestwire.picture import Key, Picture
from guestwire.plan import Plan, Step
from guestwire.spec.file import Instance
from guestwire.spec.models import Nic

__all__ = ["Listed", "Status", "list_projects", "status"]

KEPT = (
    " Its DHCP client keeps the namespace that it had, and so its address answers: `guestwire down` or `watch` ends "
    "that, else the client's next renewal."
)


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
        """Whether the project was built and not taken down; its marks say so where its state was lost."""
        return self.where.state is not None or any(value.owner == self.where.project for value in self.seen)

    @property
    def is_lost(self) -> bool:
        """Whether its marks alone tell of it, as after a reboot those that libvirt keeps."""
        return self.where.state is None and self.is_up

    def to_json(self) -> dict[str, Any]:
        """The document of cli.md for status."""
        return {
            "project": self.where.project,
            "up": self.is_up,
            "lost": self.is_lost,
            "lab": self.where.lab,
            "enter": self.where.way_in,
            "confirm": _left(self.where.store.journal()),
            "guests": [self._guest(instance) for instance in self.where.file.expand()],
            "networks": [
                self._network(network)
                for network in self.where.file.networks.values()
                if isinstance(network, BuiltNetwork)
            ],
            "drift": [_drift(step) for step in self.drift],
            **libvirts(self.seen),
        }

    def _guest(self, instance: Instance) -> dict[str, Any]:
        guest, netns = instance.guest, f"{self.where.project}-{instance.name}"
        assert isinstance(guest, BuiltGuest)
        seats = self.where.site.seats if self.where.site else {}
        nics = [self._nic(netns, nic, seats.get((instance.name, nic.index))) for nic in guest.nics]
        there = not guest.HAS_NAMESPACE or netns in self.seen.scope
        waits = any(isinstance(link, Tap) and not link.carrier for _, link in nics if not guest.HAS_NAMESPACE)
        up = there and all(link is not None and link.up for _, link in nics)
        own = guest.standing(self.seen, self.where.host, f"{self.where.project}/{instance.name}")
        more = own.pop("nics", {})
        return {
            "name": instance.name,
            "kind": "program" if instance.name in self._programs else guest.kind,
            "state": "down" if not up else "starting" if waits else "up",
            "nics": [document | more.get(nic.link, {}) for nic, (document, _) in zip(guest.nics, nics, strict=True)],
            **own,
            **self._absence(instance.name),
            **self._programs.get(instance.name, {}),
        }

    def _absence(self, guest: str) -> dict[str, str]:
        """Why a container can't be plugged in, where it can't."""
        absent = self.where.site.absent if self.where.site else {}
        if guest not in absent:
            return {}
        asks = any(
            client.pid and netns == f"{self.where.project}-{guest}" for (netns, _), client in self._clients.items()
        )
        return {"why": absent[guest].message + (KEPT if asks else "")}

    def _nic(self, netns: str, nic: Nic, seat: Seat | None) -> tuple[dict[str, Any], Link | None]:
        """A NIC's document, and its link. Of a program's NIC the file says MAC and addresses, if anybody does."""
        place = (seat.netns, seat.link) if seat else (netns, nic.link)
        link = self._links.get(place)
        cable = self.seen.get(Key("", netns, Cable.KIND, nic.link))
        end = cable.end if isinstance(cable, Cable) else None
        peer = end or getattr(link, "peer", None)
        held = seat is not None and seat.link == seat.host_link
        document = {
            "name": place[1],
            "network": nic.network,
            "device": end[2] if end else link.label() if isinstance(link, Tap) else link.trial_name() if link else None,
            "mac": nic.mac if held and isinstance(link, Tap) else link.mac if link else None,
            "addresses": list(seat.addresses) if held and seat else self._addresses.get(place, []),
            "lease": self._lease(*place),
            "host_link": place[1] if held else peer[1] if peer else None,
        }
        if isinstance(cable, Cable):
            document["cable"] = cable.counters()
        return document, link

    def _lease(self, netns: str, link: str) -> dict[str, Any] | None:
        """What a DHCP server lent a link, or that none has yet; None where nobody asks on it."""
        client = self._clients.get((netns, link))
        return client.standing() if client else None

    def _network(self, network: BuiltNetwork) -> dict[str, Any]:
        name = network.link(self.where.site) if self.where.site else ""
        ports = self._alone.get(network.name, []) if network.alone else self._ports.get(name, [])
        there = (self.where.host, name) in self._links
        link = name if there else None
        found: dict[str, Any] = {
            "name": network.name,
            "type": network.type,
            "link": link,
            "missing": bool(name) and not there,
            "ports": sorted(ports),
            "lease": self._lease(self.where.host, name),
        }
        leases = network.leases(self.where.site) if self.where.site else None
        if leases is not None:
            found["leases"] = [lease._asdict() for lease in leases]
        return found

    @cached_property
    def _programs(self) -> dict[str, dict[str, Any]]:
        state = self.where.state
        return {each.name: {"pid": each.pid, "command": each.command} for each in (state.programs if state else ())}

    @cached_property
    def _links(self) -> dict[tuple[str, str], Link]:
        return {(link.netns, link.name): link for link in self.seen.of(Link)}

    @cached_property
    def _ports(self) -> dict[str, list[str]]:
        """The host's links that are ports, by what they are ports of."""
        return ports_of(self.seen.of(Link, self.where.host))

    @cached_property
    def _alone(self) -> dict[str, list[str]]:
        """The host's links to guests, by the network that they are on."""
        found: dict[str, list[str]] = {}
        for seat in self.where.site.seats.values() if self.where.site else ():
            if (self.where.host, seat.host_link) in self._links:
                found.setdefault(seat.nic.network, []).append(seat.host_link)
        return found

    @cached_property
    def _clients(self) -> dict[tuple[str, str], DhcpClient]:
        return {(client.netns, client.link): client for client in self.seen.of(DhcpClient)}

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
        "what": step.describe().partition(" ")[2],
        "differs": {name: {"is": old, "should be": new} for name, (old, new) in differs.items()},
    }


def status(
    path: str | None = None,
    *,
    lab: bool = False,
    project: str | None = None,
    netns: str | None = None,
    foreseen: Foreseen = NOTHING,
) -> Status:
    """How a project stands, by what is `foreseen` (`ahead`). Nothing is changed; raises FileError where it is wrong."""
    where = meant(path, lab=lab, project=project, netns=netns)
    with Kernel(*foreseen) as kernel:
        see_settled(kernel, where, waiting=True)
        try:
            made = where.plan(kernel)
        except FileError:
            if where.state is not None:
                raise
            # Nothing is up, and the file doesn't fit this host: `plan` and `up` say why, here it is beside the point.
            made, where.seen = Plan(where.project, []), observe(kernel, where.host, related(where.project))
        assert where.seen is not None
        with_domains(kernel, where.seen, where.host)
    return Status(where, made, where.seen)


@dataclass(frozen=True)
class Listed:
    """A project that is up, or has an unsettled journal. Without a `file` its state was lost, and its marks tell it."""

    name: str
    state: State | None
    journal: Journal | None
    guests: int
    kept: bool = False
    """Whether only libvirt has something of it yet: domains' NICs, networks."""

    @property
    def unsettled(self) -> bool:
        """Whether a journal lies there, also of a change that waits to be confirmed."""
        return self.journal is not None

    @property
    def confirm(self) -> int | None:
        """The seconds that are left to confirm its change; None where none waits for that."""
        return _left(self.journal)

    def to_json(self) -> dict[str, Any]:
        """As JSON knows it."""
        return {
            "project": self.name,
            "lab": self.state.lab if self.state else None,
            "host": self.state.host if self.state else None,
            "file": self.state.file if self.state else None,
            "namespaces": self.guests,
            "state": self._standing(),
            "unsettled": self.unsettled,
            "confirm": self.confirm,
        }

    def _standing(self) -> str:
        if self.unsettled:
            return "unsettled" if self.confirm is None else "waiting"
        return "kept" if self.kept else "up"


def _left(journal: Journal | None) -> int | None:
    """The seconds that are left to confirm a change; None where none waits for that."""
    return max(0, math.ceil(journal.left)) if journal is not None and journal.waits else None


def list_projects() -> list[Listed]:
    """Every project on this machine; an ordinary user's labs too, as they are seen through their keepers' roots."""
    names, known = namespaces.names(), projects()
    states = {project: Store(project).standing() for project in known}
    kept: set[str] = set()
    if capable():
        marked, kept = _marked([name for name in names if not name.startswith(_heads(known))])
        states = {**marked, **states}
    mine = [_lab_of(holder) for holder in rootless.holders()]
    return mine + [
        Listed(
            project,
            states[project],
            Store(project).journal(),
            _count(project, names, sorted(states)),
            project in kept and project not in known,
        )
        for project in sorted(states)
    ]


def _marked(names: list[str]) -> tuple[dict[str, State | None], set[str]]:
    """The projects whose marks are on links here, in these namespaces or at libvirt, and as much of their state as that
    tells; and of which of them only libvirt has something."""
    with Kernel() as kernel:
        seen = observe(kernel, "", names)
        here = {value.owner for value in seen}
        with_domains(kernel, seen, "")
    found: dict[str, State | None] = {}
    for value in seen:
        if value.owner and value.owner not in found:
            lab = Key("", f"{value.owner}-host", Namespace.KIND, f"{value.owner}-host") in seen
            found[value.owner] = State(value.owner, f"{value.owner}-host" if lab else "", lab)
    return found, found.keys() - here


def _heads(projects: Iterable[str]) -> tuple[str, ...]:
    """What the names of projects' namespaces begin with."""
    return tuple(f"{project}{mark}" for project in projects for mark in "-.")


def _count(project: str, names: list[str], known: list[str]) -> int:
    """How many of the namespaces are the project's; another's may begin alike, as those of `lab-2` beside `lab`."""
    others = _heads(other for other in known if other.startswith(f"{project}-"))
    return sum(name.startswith(_heads([project])) and not name.startswith(others) for name in names)


def _lab_of(holder: rootless.Holder) -> Listed:
    root = f"/proc/{holder.pid}/root"
    names = os.listdir(f"{root}{namespaces.FOLDER}") if os.path.isdir(f"{root}{namespaces.FOLDER}") else []
    store = store_of(holder)
    return Listed(holder.project, store.standing(), store.journal(), _count(holder.project, names, []))
