"""The guest kind `libvirt`: a domain that libvirt has, to which guestwire adds NICs on the networks of this file.

Live where it runs, and in its definition, so that it has them after its next start too. `down` takes them out again.
Nothing else of the domain is changed: its own NICs, its disks and whether it runs are its owner's affair.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any, ClassVar, Literal

from pydantic import Field

from guestwire.compile import BuiltGuest, BuiltNetwork, Seat, Site
from guestwire.daemons.libvirt import SESSION, SYSTEM, session_user
from guestwire.errors import Problem
from guestwire.kinds.domain import Domain, called
from guestwire.kinds.domainnic import DomainNic
from guestwire.kinds.mark import derived_mac
from guestwire.kinds.tap import NOBODY
from guestwire.picture import Key, Picture
from guestwire.printable import quote
from guestwire.spec.file import File
from guestwire.spec.models import Nic
from guestwire.spec.scalars import Text

__all__ = ["LibvirtDomain"]

TAP = "tap"


class LibvirtDomain(BuiltGuest):
    """A domain of libvirt's."""

    HAS_NAMESPACE: ClassVar[bool] = False
    COPIED: ClassVar[bool] = False
    NIC_KEYS: ClassVar[frozenset[str]] = frozenset({"model"})

    kind: Literal["libvirt"] = Field(description="a domain that libvirt has, and NICs for it")
    domain: Text | None = Field(None, description="the domain's name; else the guest's own")
    uri: Text = Field(SYSTEM, description="how libvirt is reached on this machine")
    model: Literal["virtio", "e1000", "rtl8139"] = Field(
        "virtio", description="what its NICs are: virtio, or slower e1000 or rtl8139"
    )

    # What is wrong with the file

    def check(self, file: File) -> Iterable[Problem]:
        yield from super().check(file)
        if self.dns:
            yield file.problem(self.at("dns"), "a domain has a resolv.conf of its own.", "Leave dns out.")
        if self.domain and self.number > 1:
            message = f"{self.count} guests can't be one domain."
            yield file.problem(self.at("domain"), message, "Leave domain out: each is the domain of its own name.")
        if "+" in self.uri.partition(":")[0] and not self.uri.startswith("qemu+unix:"):
            message = f"uri {self.uri} leads to another machine, whose networks aren't this one's."
            yield file.problem(self.at("uri"), message, f"Leave uri out, or write one of this machine, as {SYSTEM}.")
        if self.uri == SESSION:
            message = f"{self.uri} is the session of whoever asks, and so root's."
            hint = "Say whose, as qemu+unix:///session?socket=/run/user/1000/libvirt/libvirt-sock."
            yield file.problem(self.at("uri"), message, hint)
        for nic in self.nics:
            yield from self._check_nic(file, nic)

    def _check_nic(self, file: File, nic: Nic) -> Iterator[Problem]:
        network = file.networks.get(nic.network)
        if isinstance(network, BuiltNetwork) and not network.has_source and TAP not in network.devices:
            message = (
                f"network {quote(network.name)} of type {network.type} has nothing that a domain can be plugged into."
            )
            yield file.problem(nic.at("network"), message, "Use one of another type.")
        if nic.device or nic.name:
            message = "libvirt makes the host's link itself, and the guest names its NIC."
            yield file.problem(nic.at("device" if nic.device else "name"), message, "Leave device and name out.")
        for key, given in {"default-route": bool(nic.default_route), "gateway": bool(nic.gateway)}.items():
            if given:
                message = f"{key} is the guest's own affair: guestwire gives it frames, no routes."
                yield file.problem(nic.at(key), message, f"Leave {key} out.")

    # What it makes

    def takes_addresses(self, network: BuiltNetwork) -> bool:
        """Whether the network's own server gives it the address that we choose."""
        return bool(network.name_servers())

    def looks_at(self, name: str, host: str) -> Iterable[Key]:
        yield Key("", host, Domain.KIND, self._domain(name))

    def _domain(self, name: str) -> str:
        return called(self.uri, self.domain or name)

    def sit(self, site: Site, seat: Seat) -> Seat:
        devices = [device for device in site.file.networks[seat.nic.network].devices if device != "tun"]
        device = devices[0] if devices else TAP
        user = session_user(self.uri) or 0
        return replace(seat, netns=site.host, link=seat.host_link, device=device, user=user, group=NOBODY)

    def build(self, site: Site, name: str, seats: list[Seat]) -> None:
        domain = site.seen.get(Key("", site.host, Domain.KIND, self._domain(name)))
        whole = self.domain or name
        where = self.at("domain") if self.domain else self.path
        if site.lab:
            message = f"domain {quote(whole)} runs where its libvirtd does, and that isn't in a lab."
            site.refuse(where, message, "Use a guest of another kind there, or leave --lab out.")
            return
        if not isinstance(domain, Domain):
            message = f"libvirt has no domain {quote(whole)} at {self.uri}."
            site.refuse(where, message, "`virsh list --all` shows those that there are.")
            return
        if not domain.running:
            message = f"domain {quote(whole)} is off: its NICs go into its definition, and come with its next start."
            site.warn(where, message)
        elif not domain.persistent:
            message = f"domain {quote(whole)} is transient: its NICs are gone when it stops, as it is itself."
            site.warn(where, message)
        for seat in seats:
            self._plug(site, whole, domain, seat)

    def _plug(self, site: Site, whole: str, domain: Domain, seat: Seat) -> None:
        network = site.file.networks[seat.nic.network]
        assert isinstance(network, BuiltNetwork)
        source = network.source(site, seat)
        if session_user(self.uri) is not None:
            source = None
            if seat.device != TAP or TAP not in network.devices:
                message = f"{self.uri} is a user's session, where libvirt makes no link and opens taps only."
                site.refuse(seat.nic.at("network"), message, "Use a network of type bridge or routed.")
                return
        if source is None:
            network.plug(site, seat)
        site.add(
            DomainNic.on(
                site.host,
                self.uri,
                whole,
                seat.mac,
                owner=site.project,
                type=source.type if source else "ethernet",
                source=source.name if source else seat.host_link,
                mode=source.mode if source else "",
                portgroup=source.portgroup if source else "",
                model=seat.nic.model or self.model,
                isolated=bool(source and source.isolated),
                mtu=seat.mtu,
                live=True if domain.running else None,
                config=True if domain.persistent else None,
                plugged=True if domain.running else None,
                addresses=seat.addresses,
            )
        )

    def standing(self, seen: Picture, host: str, whole: str) -> dict[str, Any]:
        name = self._domain(whole.partition("/")[2])
        domain = seen.get(Key("", host, Domain.KIND, name))
        if not isinstance(domain, Domain):
            return {"state": "down", "domain": None}
        project, _, guest = whole.partition("/")
        made = {nic.link: derived_mac(project, guest, str(nic.index)) for nic in self.nics}
        found = {nic.link: self._nic(seen, host, name, nic, made[nic.link]) for nic in self.nics}
        plugged = all(nic is not None and nic.live and nic.plugged for nic in found.values())
        return {
            "state": "up" if domain.running and plugged else "down",
            "domain": {"name": name, "running": domain.running, "persistent": domain.persistent},
            "nics": {
                link: {"name": link, **(nic.told() if nic else {"host_link": None})} for link, nic in found.items()
            },
        }

    def _nic(self, seen: Picture, host: str, name: str, nic: Nic, made: str) -> DomainNic | None:
        found = seen.get(Key("", host, DomainNic.KIND, f"{name}/{nic.mac or made}"))
        return found if isinstance(found, DomainNic) else None
