"""The guest kind `container`: a container that runs already, whoever made it, gets NICs of ours beside its own.

It is known by its name at Docker, Podman, LXC, Incus, LXD or CRI, or by the namespace itself: that of a process, or in
a file. Nothing of what it has is touched: its own NIC, its default route and its resolv.conf stay. So a NIC of ours is
called eth1 where it has an eth0, and leads nowhere but to its network unless the file says `default-route: true`.

A container that is started anew has another namespace, without our NICs; `up` plugs it in again, and `watch` does by
itself. While it doesn't run the rest of the project stays as it is.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import count
from typing import Literal

from pydantic import Field

from guestwire.compile import BuiltGuest, BuiltNetwork, Seat, Site
from guestwire.compile.inside import add_addresses, add_routes, ask_servers
from guestwire.compile.leading import gateway_of
from guestwire.compile.whereabouts import Absent
from guestwire.daemons.containers import Keeper
from guestwire.errors import Problem
from guestwire.kinds import Link
from guestwire.kinds.attachment import Attachment
from guestwire.kinds.route import Route
from guestwire.linux.routes import DEFAULTS
from guestwire.spec.file import File
from guestwire.spec.models import Nic
from guestwire.spec.scalars import ContainerName, ProcessNumber, Word

__all__ = ["Container"]


class Container(BuiltGuest):
    """A container that runs already."""

    kind: Literal["container"] = Field(
        "container", description="a container that runs already; one of the keys below says which"
    )
    docker: ContainerName | None = Field(None, description="its name or ID at Docker")
    podman: ContainerName | None = Field(None, description="its name or ID at Podman")
    lxc: ContainerName | None = Field(None, description="its name at LXC, as `lxc-ls` lists it")
    incus: ContainerName | None = Field(None, description="its name at Incus")
    lxd: ContainerName | None = Field(None, description="its name at LXD")
    cri: ContainerName | None = Field(None, description="its ID at a CRI runtime, as `crictl ps` lists it")
    pid: ProcessNumber | None = Field(None, description="the number of a process in it")
    netns: Word | None = Field(None, description="its network namespace: a name of `ip netns`, or the path of its file")

    @property
    def keeper(self) -> Keeper | None:
        return next((Keeper(way, str(name)) for way, name in self._ways()), None)

    def _ways(self) -> list[tuple[str, object]]:
        """The keys that say which container it is, with what they say."""
        own = [name for name in type(self).model_fields if name not in BuiltGuest.model_fields]
        return [(name, value) for name in own if (value := getattr(self, name)) is not None]

    def check(self, file: File) -> Iterable[Problem]:
        ways = [name for name in type(self).model_fields if name not in BuiltGuest.model_fields]
        given = [way for way, _ in self._ways()]
        if not given:
            message = "nothing says which container it is."
            yield file.problem(self.path, message, f"Write one of {', '.join(ways)}, as docker: {self.name}.")
        for way in given[1:]:
            message = f"{given[0]} and {way} both say which container it is."
            yield file.problem(self.at(way), message, "Leave one of them out.")
        if self.netns and "/" in self.netns and not self.netns.startswith("/"):
            hint = "Write it whole, as /run/netns/NAME, or a name of `ip netns`."
            yield file.problem(self.at("netns"), f"{self.netns} is a path that begins nowhere.", hint)
        if self.count:
            yield file.problem(self.at("count"), f"{self.count} guests can't be one container.", "Leave count out.")
        if self.dns:
            yield file.problem(self.at("dns"), "the resolv.conf of a container is its own.", "Leave dns out.")
        for nic in self.nics:
            if nic.device:
                message = f"device {nic.device} is held by a hypervisor; a container has links."
                yield file.problem(nic.at("device"), message, "Leave device out.")

    def link_of(self, site: Site, name: str, nic: Nic) -> str:
        if nic.name:
            return nic.name
        netns = f"{site.project}-{name}"
        links = site.seen.of(Link, netns)
        macs = {each.index: each.mac or site.mac(name, str(each.index)) for each in self.nics}
        ours = {link.mac: link.name for link in links if link.owner == site.project}
        if macs[nic.index] in ours:
            return ours[macs[nic.index]]  # it keeps its name, whatever its container has got or lost since
        taken = {link.name for link in links if link.owner != site.project} | {each.name for each in self.nics}
        taken |= {ours[mac] for mac in macs.values() if mac in ours}
        free = (each for i in count() if (each := f"eth{i}") not in taken)
        fresh = [each.index for each in self.nics if not each.name and macs[each.index] not in ours]
        return next(name for index, name in zip(fresh, free, strict=False) if index == nic.index)

    def build(self, site: Site, name: str, seats: list[Seat]) -> None:
        netns = f"{site.project}-{name}"
        found = site.found[name]
        if isinstance(found, Absent):
            site.absent[name] = site.file.problem(self.path, f"{found.why}.", found.hint)
            return
        site.add(Attachment(netns=netns, name=netns, owner=site.project, target=found.file, process=found.process))
        for seat in seats:
            network = site.file.networks[seat.nic.network]
            assert isinstance(network, BuiltNetwork)
            network.plug(site, seat)
            add_addresses(site, seat)
        asking = [seat for seat in seats if seat.nic.default_route or seat.nic.gateway]
        keeper = found.process.pid if found.process else 0
        ask_servers(site, name, seats, add_routes(site, netns, seats, asking), "", keeper)
        self._compare_routes(site, netns, seats, asking)

    def _compare_routes(self, site: Site, netns: str, seats: list[Seat], asking: list[Seat]) -> None:
        """Refuse a default route that can't be beside the container's own; warn of a container that has none at all."""
        own = {route.key: route for route in site.seen.of(Route, netns) if route.owner != site.project}
        ours = [route for route in site.desired.picture.of(Route, netns) if route.is_default]
        for route in ours:
            there = own.get(route.key)
            if there is not None:
                by = f"by {there.link} " if there.link else ""
                message = f"the container has a default route of its own {by}already, of the same metric."
                hint = "Leave default-route out, or start the container without a network (--network none)."
                site.refuse(asking[0].nic.path, message, hint)
        default = any(route.is_default for route in own.values())
        if seats and not asking and not default and any(gateway_of(site, seats[0], version) for version in DEFAULTS):
            message = "the container has no default route, so it reaches its networks' subnets only."
            site.warn(self.path, message, "Write default-route: true at one of its NICs to have one.")
