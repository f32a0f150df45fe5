"""The guest kind `process`: a program of the user's own, which opens its NIC by name; on the host it is a tap.

guestwire makes the NIC and starts nothing. Whoever may open it (`owner`, `group`, or CAP_NET_ADMIN) attaches to it, as
QEMU does with `-netdev tap,ifname=NAME,script=no`, and has the addresses that it takes. So it is for a hypervisor that
somebody else runs, a VPN, an emulator. The addresses in the file are kept free of other guests.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import ClassVar, Literal

from pydantic import Field

from guestwire.compile import BuiltGuest, BuiltNetwork, Seat, Site
from guestwire.errors import Problem
from guestwire.kinds import Link
from guestwire.kinds.tap import NOBODY
from guestwire.linux.accounts import group_number, user_number
from guestwire.printable import quote
from guestwire.spec.file import File
from guestwire.spec.models import Nic
from guestwire.spec.scalars import Account, Queues

__all__ = ["Process"]

BY_NODE = "macvtap"
"""The device that is opened through a node of its own, whose owner is the node's, not the link's."""


class Process(BuiltGuest):
    """A program that opens its NIC by name."""

    HAS_NAMESPACE: ClassVar[bool] = False

    kind: Literal["process"] = Field(description="a program of yours, which opens its NIC by name")
    owner: Account | None = Field(None, description="the user, by name or number, that may open its taps besides root")
    group: Account | None = Field(None, description="the group whose members may; with owner, that user in it")
    queues: Queues = Field(1, description="how many descriptors of each NIC the program opens, 1 to 256")

    def check(self, file: File) -> Iterable[Problem]:
        yield from super().check(file)
        if self.dns:
            yield file.problem(self.at("dns"), "a program has no resolv.conf of its own.", "Leave dns out.")
        for nic in self.nics:
            network = file.networks.get(nic.network)
            if network and not network.devices:
                message = f"network {quote(network.name)} of type {network.type} has no device that a program can open."
                yield file.problem(nic.at("network"), message, "Use one of another type.")
            elif network and self._device(nic, network.devices) == BY_NODE:
                for key in ("owner", "group"):
                    if getattr(self, key):
                        message = f"the kernel keeps no {key} of a macvtap, whose /dev/tapN is root's."
                        yield file.problem(self.at(key), message, f"Leave {key} out, or use a network of type bridge.")
            if nic.name and self.count:
                message = f"{self.count} guests can't share one link of the host."
                yield file.problem(nic.at("name"), message, "Leave name out.")
            yield from self._meaningless(file, nic)

    def _meaningless(self, file: File, nic: Nic) -> Iterable[Problem]:
        for key, given in (("default-route", nic.default_route), ("gateway", nic.gateway), ("address", nic.dhcp)):
            if given:
                what = "address dhcp" if key == "address" else key
                message = f"{what} is the program's affair: guestwire gives it frames, no addresses and routes."
                yield file.problem(nic.at(key), message, f"Leave {key} out.")

    def _device(self, nic: Nic, devices: tuple[str, ...]) -> str:
        return nic.device or devices[-1]

    def sit(self, site: Site, seat: Seat) -> Seat:
        name, long = (seat.nic.name, None) if seat.nic.name else (seat.host_link, seat.host_long)
        if seat.nic.name:
            self._see_that_it_is_free(site, seat.nic, seat.nic.name)
        return replace(
            seat,
            netns=site.host,
            link=name,
            host_link=name,
            host_long=long,
            device=self._device(seat.nic, site.file.networks[seat.nic.network].devices),
            user=self._number(site, "owner", self.owner or (None if self.group else "0"), user_number),
            group=self._number(site, "group", self.group, group_number),
            queues=self.queues,
        )

    def _see_that_it_is_free(self, site: Site, nic: Nic, name: str) -> None:
        """Refuse a name that another link of this file has; that of a stranger's link is refused by the plan."""
        why = None
        if name.startswith(f"{site.project}-"):
            why = f"{name} is a name as guestwire gives them itself."
        elif any(link.name == name for link in site.desired.picture.of(Link, site.host)):
            why = f"the host has a link {name} already by this file, and a program's NIC is a link of the host."
        if why:
            site.refuse(nic.at("name"), why, "Use another, or leave it out.")

    def _number(self, site: Site, key: str, word: str | None, find: Callable[[str], int | None]) -> int:
        number = NOBODY if word is None else find(word)
        if number is None:
            what = "user" if key == "owner" else key
            site.refuse(self.at(key), f"there is no {what} {quote(word)} on this machine.", "Write its name or number.")
            return NOBODY
        return number

    def build(self, site: Site, name: str, seats: list[Seat]) -> None:
        for seat in seats:
            network = site.file.networks[seat.nic.network]
            assert isinstance(network, BuiltNetwork)
            network.plug(site, seat)
