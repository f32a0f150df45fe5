"""Who takes part in a check, by which addresses, and which of them is asked where there are several NICs."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Final, Literal

__all__ = ["FAMILIES", "Door", "Family", "Seat", "Station", "common_families", "target_address"]

Family = Literal[4, 6]
FAMILIES: Final[tuple[Family, Family]] = (4, 6)


@dataclass(frozen=True)
class Seat:
    """A NIC of a station: its network's name in the file ("" for none), its link, its addresses without prefix."""

    network: str
    link: str
    addresses: tuple[str, ...] = ()

    @cached_property
    def by_family(self) -> dict[Family, str]:
        """The first global address of each family that it has, as the kernel writes it."""
        found: dict[Family, str] = {}
        for address in self.addresses:
            family, plain = _parsed(address)
            if family is not None:
                found.setdefault(family, plain)
        return found


@dataclass(frozen=True)
class Door:
    """A port of a station's behind which another answers: where, by which address, on which port."""

    proto: str
    port: int
    family: Family
    netns: str
    address: str
    behind: int


@dataclass(frozen=True)
class Station:
    """A guest or place that sends, answers, or both.

    `netns` is the namespace that we can send from, "" the one we started in; None where there is no way in, and then it
    is a destination only, unless it has an agent. `kind` is a guest's kind as the file has it; for host, lan, gateway
    and internet it is "lab" in a lab, else "outside".
    The `host` has a seat for every network and a last one, with the address that its default route uses.
    """

    name: str
    netns: str | None
    nics: tuple[Seat, ...]
    kind: str = "namespace"
    doors: tuple[Door, ...] = ()
    mute: str = ""
    """Why it can't be sent from, where there is more to say than that there is no way."""
    agent: str = ""
    """The socket of the guest agent that asks for it, where it is a virtual machine which has one."""
    absent: str = ""
    """Why it isn't there at all, as a container that has ended, and what to do: then it neither asks nor is asked."""

    def door(self, proto: str, port: int, family: Family) -> Door | None:
        """Who answers on a port of the station's, where it isn't the station itself."""
        return next((d for d in self.doors if (d.proto, d.port, d.family) == (proto, port, family)), None)

    @property
    def can_listen(self) -> bool:
        """Whether guestwire may listen there where nothing does: in a guest's namespace, a lab, never on a host."""
        return self.netns is not None and self.kind in ("namespace", "lab")

    @property
    def why_mute(self) -> str:
        """Why it can't be sent from, where it has neither namespace nor agent."""
        return self.absent or self.mute or f"there is no way to send from {self.name} here"

    @cached_property
    def networks(self) -> frozenset[str]:
        """The networks that it has a NIC on."""
        return frozenset(seat.network for seat in self.nics if seat.network)

    @cached_property
    def families(self) -> frozenset[Family]:
        """The families in which it has a global address."""
        return frozenset(family for seat in self.nics for family in seat.by_family)

    def addresses(self) -> Iterator[str]:
        """All its global addresses, as the kernel writes them."""
        for seat in self.nics:
            yield from (plain for family, plain in map(_parsed, seat.addresses) if family is not None)


@cache
def _parsed(address: str) -> tuple[Family | None, str]:
    """The family, where the address is global, and the address as the kernel writes it.

    Global is the kernel's scope, not IANA's table: 10/8, 192.0.2/24 and fd00::/8 are, 169.254/16 and fe80::/10 are not.
    """
    parsed = ipaddress.ip_address(address)
    if parsed.is_link_local or parsed.is_loopback or parsed.is_multicast or parsed.is_unspecified:
        return None, str(parsed)
    return (4 if parsed.version == 4 else 6), str(parsed)


def common_families(source: Station, target: Station) -> tuple[Family, ...]:
    """The families in which both have a global address, 4 before 6."""
    return tuple(family for family in FAMILIES if family in source.families and family in target.families)


def target_address(source: Station, target: Station, family: Family) -> str | None:
    """The address of `target` that `source` asks; None where it has none of that family.

    It is that of the first NIC on a network that both are on; else that of the first NIC; of `host`, whose last seat
    is the one that its default route uses, that of the last.
    """
    fallback = None
    last = target.name == "host"
    for seat in target.nics:
        address = seat.by_family.get(family)
        if address is None:
            continue
        if seat.network in source.networks:
            return address
        if fallback is None or last:
            fallback = address
    return fallback
