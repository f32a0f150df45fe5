"""What a network type and a guest kind must be able to do for a file to become a picture."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from guestwire.daemons.containers import Keeper
from guestwire.picture import Key, Picture
from guestwire.spec.models import Guest, Network, Nic

if TYPE_CHECKING:
    from guestwire.compile.site import Seat, Site
    from guestwire.daemons import libvirtxml
    from guestwire.daemons.dnsmasq import Lease
    from guestwire.errors import Problem
    from guestwire.spec.file import File

FEW_HAVE = frozenset({"queues", "model", "vhost", "link"})
FIELDS = {"link": "link_state"}

__all__ = ["BuiltGuest", "BuiltNetwork", "Source"]


class Source(NamedTuple):
    """What a program that makes its links itself is told of a network, in libvirt's words.

    `type` is bridge, direct (a macvtap) or network, `name` the bridge's, the parent's or the network's.
    """

    type: str
    name: str
    mode: str = ""
    isolated: bool = False
    portgroup: str = ""


class BuiltNetwork(Network):
    """A network type that can be built."""

    alone: ClassVar[bool] = False
    """Whether each guest is alone with the host on its cable: its address then is, and its gateway is beyond it."""

    @abstractmethod
    def build(self, site: Site) -> None:
        """Add what the network needs on the host; wrong for this host: `site.refuse`."""

    @property
    def passes_on(self) -> bool:
        """Whether the host forwards packets for its guests."""
        return False

    @property
    def is_on_lan(self) -> bool:
        """Whether it and its uplink's LAN are one network, on which all know each other by the same addresses."""
        return self.uplink is not None

    def looks_at(self, seen: Picture, host: str) -> Iterable[Key]:
        """What of the host it must know that is read only where it is asked for: sysctls, say."""
        return ()

    def finish(self, site: Site, seats: Sequence[Seat]) -> None:
        """Add what needs all of its guests' NICs, once they have their addresses."""

    @abstractmethod
    def plug(self, site: Site, seat: Seat) -> None:
        """Add the link that a guest's NIC is: in `seat.netns`, or for `seat.device` on the host, as `seat.host_link`.

        Of the latter the network's side alone: who holds the descriptor is the guest's affair.
        """

    def source(self, site: Site, seat: Seat) -> Source | None:
        """What libvirt is told of it to make the host's link for a NIC itself; None: it takes a tap of ours."""
        return None

    def as_libvirt(self, site: Site, seats: Sequence[Seat]) -> tuple[libvirtxml.Network | None, list[str]]:
        """The network in libvirt's words, with those of its guests' NICs, and what can't be said in them.

        None where libvirt has nothing like it.
        """
        return None, [f"libvirt has no network like one of type {self.type}."]

    def apart_from_host(self) -> str | None:
        """Why guests on it and the host don't reach each other, and what lets them; None where they do."""
        return None

    @property
    def has_source(self) -> bool:
        """Whether libvirt can make the host's link for a NIC itself."""
        return type(self).source is not BuiltNetwork.source

    @abstractmethod
    def link(self, site: Site) -> str:
        """The name of the host's link that stands for the network: its bridge, its parent."""

    def host_addresses(self, site: Site) -> list[str]:
        """The host's own addresses on the network, with prefix."""
        return [str(address) for address in self.hosts()]

    def gateway_of(self, site: Site, version: int) -> str | None:
        """Where a guest's default route of that family leads, or None; "" is out of its link, to no neighbour."""
        return self.gateways.get(version)

    def gateway_for(self, site: Site, seat: Seat, version: int) -> str | None:
        """Where the default route of this NIC leads, or None: as `gateway_of` says, where that is in its reach."""
        return self.gateway_of(site, version)

    @cached_property
    def gateways(self) -> dict[int, str]:
        """The host's own address in its subnet of each family, 4 or 6."""
        return {host.version: str(host.ip) for host in self.hosts()}

    def name_servers(self) -> tuple[str, ...]:
        """The addresses at which the network itself answers DNS."""
        return ()

    def leases(self, site: Site) -> list[Lease] | None:
        """The leases that a server of the network's own has given; None where it has no server."""
        return None

    def reserved(self, site: Site) -> Iterator[tuple[str, str, str]]:
        """What a server of the network's own was told before now to keep: MAC, guest's name and address of each."""
        return iter(())

    def whose(self, site: Site, address: str) -> str | None:
        """Whose an address that the file gives a guest is already, beyond what the file says, or None."""
        return None if self.subnet or self.uplink is None else site.lan(self.uplink).whose(address)

    def candidates(self, site: Site, version: int) -> Iterator[str]:
        """The addresses with prefix that a guest may be given, in order; some of them may be taken."""
        for net in self.subnet:
            if net.version == version:
                for address in net.hosts():
                    yield f"{address}/{net.prefixlen}"

    def prefix(self, site: Site, address: str) -> int | None:
        """The prefix length for an address that the file gives without one, or None where the network can't say."""
        from ipaddress import ip_address

        wanted = ip_address(address)
        return next((net.prefixlen for net in self.subnet if net.version == wanted.version and wanted in net), None)


class BuiltGuest(Guest):
    """A guest kind that can be built."""

    HAS_NAMESPACE: ClassVar[bool] = True
    """Whether it is a namespace, which can be given addresses, measured from, and run commands in."""

    COPIED: ClassVar[bool] = True
    """Whether a copy of a host has it, too, and not the host alone."""

    MUTE: ClassVar[str] = ""
    """Why nobody can be asked from inside the one that is called {}, where there is more to say than that."""

    NIC_KEYS: ClassVar[frozenset[str]] = frozenset()
    """The keys of a NIC that this kind has a use for, of those that few have."""

    def check(self, file: File) -> Iterable[Problem]:
        for nic in self.nics:
            for key in sorted(FEW_HAVE - self.NIC_KEYS):
                if getattr(nic, FIELDS.get(key, key)) is not None:
                    message = f"{key} is a virtual machine's, and this guest is a {self.kind}."
                    yield file.problem(nic.at(key), message, f"Leave {key} out.")

    @property
    def is_set_up(self) -> bool:
        """Whether its NICs are set up as we choose, with addresses, routes and name servers; else it does so itself."""
        return self.HAS_NAMESPACE

    def takes_addresses(self, network: BuiltNetwork) -> bool:
        """Whether a NIC on that network has the address that we choose."""
        return self.is_set_up

    def agent(self, seen: Picture, host: str, whole: str) -> str:
        """The socket of the guest agent in the one that is called so, PROJECT/GUEST, where one runs; else ""."""
        return ""

    def looks_at(self, name: str, host: str) -> Iterable[Key]:
        """What of the host the guest `name` must know that is read only where it is asked for."""
        return ()

    @property
    def keeper(self) -> Keeper | None:
        """Who keeps the namespace that it is, where that isn't guestwire."""
        return None

    def link_of(self, site: Site, name: str, nic: Nic) -> str:
        """What the NIC's link is called inside guest `name`."""
        return nic.link

    def sit(self, site: Site, seat: Seat) -> Seat:
        """One of its NICs as this kind takes it; wrong for this host: `site.refuse`."""
        return seat

    def standing(self, seen: Picture, host: str, whole: str) -> dict[str, Any]:
        """What only this kind can tell of its guest PROJECT/GUEST as it stands, for `status`: its "state", and more.

        Under "nics" what there is to tell of each NIC, by the NIC's name in the file.
        """
        return {}

    @abstractmethod
    def build(self, site: Site, name: str, seats: list[Seat]) -> None:
        """Add the guest `name` with its NICs, which already have MACs and addresses."""
