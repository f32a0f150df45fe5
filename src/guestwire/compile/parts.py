"""What a network type and a guest kind must be able to do for a file to become a picture."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

from guestwire.picture import Key, Picture
from guestwire.spec.models import Guest, Network

if TYPE_CHECKING:
    from guestwire.compile.site import Seat, Site
    from guestwire.errors import Problem
    from guestwire.spec.file import File

FEW_HAVE = frozenset({"queues", "model", "vhost", "link"})
FIELDS = {"link": "link_state"}

__all__ = ["BuiltGuest", "BuiltNetwork"]


class BuiltNetwork(Network):
    """A network type that can be built."""

    alone: ClassVar[bool] = False
    """Whether each guest is alone with the host on its cable: its address then is, and its gateway is beyond it."""

    @abstractmethod
    def build(self, site: Site) -> None:
        """Add what the network needs on the host; wrong for this host: `site.refuse`."""

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

    @abstractmethod
    def link(self, site: Site) -> str:
        """The name of the host's link that stands for the network: its bridge, its parent."""

    def host_addresses(self, site: Site) -> list[str]:
        """The host's own addresses on the network, with prefix."""
        return [str(address) for address in self.hosts()]

    def gateway_of(self, site: Site, version: int) -> str | None:
        """Where a guest's default route of that family leads, or None."""
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

    NIC_KEYS: ClassVar[frozenset[str]] = frozenset()
    """The keys of a NIC that this kind has a use for, of those that few have."""

    def check(self, file: File) -> Iterable[Problem]:
        for nic in self.nics:
            for key in sorted(FEW_HAVE - self.NIC_KEYS):
                if getattr(nic, FIELDS.get(key, key)) is not None:
                    message = f"{key} is a virtual machine's, and this guest is a {self.kind}."
                    yield file.problem(nic.at(key), message, f"Leave {key} out.")

    def takes_addresses(self, network: BuiltNetwork) -> bool:
        """Whether a NIC on that network has the address that we choose."""
        return self.HAS_NAMESPACE

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
