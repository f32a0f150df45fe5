"""A network that tells VLANs apart: what its keys mean for the ports of its bridge.

The host's own link on the bridge, the uplink and each NIC are ports alike. A NIC that names no VLAN is in the
network's, and so are the host and what comes untagged from the uplink; the uplink carries all others with their tags.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from pydantic import Field

from guestwire.compile.gateway import Gateway
from guestwire.compile.site import Seat, Site
from guestwire.errors import Problem
from guestwire.kinds.vlans import Vlans, runs
from guestwire.printable import quote
from guestwire.spec.file import File
from guestwire.spec.models import Nic
from guestwire.spec.scalars import Flag, VlanId, VlanIds

__all__ = ["Segmented"]

USUAL_VLAN = 1  # as a switch has it, and a bridge (vlan_default_pvid)


class Segmented(Gateway):
    """A network type whose ports may be in VLANs."""

    vlans: Flag = Field(False, description="the bridge filters VLANs: a frame stays in that of the port it came by")
    vlan: VlanId | None = Field(
        None, description="with vlans: where NICs are that name none, and the uplink's untagged frames; else 1"
    )
    host_vlan: VlanId | None = Field(None, description="with vlans: where the host itself is; else the network's vlan")
    uplink_vlans: VlanIds | None = Field(
        None, description="with vlans: those that the uplink carries with a tag, as [10, 20-30]; else all that are used"
    )

    @property
    def segmented(self) -> bool:
        return self.vlans

    def check_vlans(self, file: File) -> Iterator[Problem]:
        """What is wrong with the VLANs of the network and of its NICs."""
        for key, value in (("vlan", self.vlan), ("host-vlan", self.host_vlan), ("uplink-vlans", self.uplink_vlans)):
            if value is not None and not self.vlans:
                message = f"{key} without vlans: the bridge tells no VLANs apart."
                yield file.problem(self.at(key), message, f"Write vlans: true too, or leave {key} out.")
        if self.uplink_vlans is not None and self.uplink is None:
            yield file.problem(
                self.at("uplink-vlans"), "uplink-vlans without uplink.", "Name the host's NIC as uplink."
            )
        if self.uplink_vlans and _inside(self._usual, self.uplink_vlans):
            message = f"VLAN {self._usual} is untagged on the uplink, being the network's, and can't be tagged too."
            yield file.problem(self.at("uplink-vlans"), message, "Leave it out of uplink-vlans, or write another vlan.")
        for plug in file.plugs(self.name) if self.vlans else ():
            nic = plug.nic
            if nic.vlan is not None and nic.vlans and _inside(nic.vlan, nic.vlans):
                message = f"VLAN {nic.vlan} is both in vlan, untagged, and in vlans, tagged."
                yield file.problem(nic.at("vlans"), message, "Leave it out of one.")
            if nic.dhcp and self.uplink is None and self._own(nic) != self._host:
                message = (
                    f"address: network {quote(self.name)} answers DHCP in VLAN {self._host}, and this NIC isn't in it."
                )
                yield file.problem(nic.at("address"), message, "Leave address out, or write another vlan.")
            if self.uplink_vlans is not None:
                carried = (*self.uplink_vlans, (self._usual, self._usual))
                lost = next((each for each in _all(nic) if not any(a <= each <= b for a, b in carried)), None)
                if lost is not None:
                    message = f"VLAN {lost} isn't among those that network {quote(self.name)} has on its uplink."
                    where = nic.at("vlan" if lost == nic.vlan else "vlans")
                    yield file.problem(where, message, "Add it to uplink-vlans, or leave those out: all used are.")

    @property
    def _usual(self) -> int:
        return self.vlan or USUAL_VLAN

    @property
    def _host(self) -> int:
        return self.host_vlan or self._usual

    def _own(self, nic: Nic) -> int:
        """The VLAN of a NIC's untagged frames; 0 where it has none."""
        return nic.vlan or (0 if nic.vlans else self._usual)

    def vlans_of_host(self) -> Vlans | None:
        """Those of the bridge's own link."""
        return Vlans.access(self._host) if self.vlans else None

    def vlans_of_uplink(self, site: Site) -> Vlans | None:
        """Those of the uplink's port."""
        if not self.vlans:
            return None
        used = [(self._host, self._host)]
        for plug in site.file.plugs(self.name):
            used += [*(plug.nic.vlans or ()), *([(plug.nic.vlan, plug.nic.vlan)] if plug.nic.vlan else [])]
        tagged = runs(self.uplink_vlans or used)
        return Vlans.access(self._usual, _without(self._usual, tagged))

    def vlans_of(self, seat: Seat, *, foreign: bool) -> Vlans | None:
        """Those of a guest's port; None as the bridge gives them: on one that isn't ours, where the NIC names none."""
        nic = seat.nic
        if not self.vlans or (foreign and not nic.vlan and not nic.vlans):
            return None
        return Vlans.access(self._own(nic), nic.vlans or ())

    def gateway_for(self, site: Site, seat: Seat, version: int) -> str | None:
        """None in another VLAN than the gateway's: the host's, or on an uplink that of its untagged frames."""
        where = self._usual if self.uplink else self._host
        if self.vlans and self._own(seat.nic) != where:
            if self.passes_on:
                message = f"nat: the host is in VLAN {where} of network {quote(self.name)}, and this NIC isn't."
                hint = "It goes nowhere beyond its VLAN: name the host's, or give it another NIC."
                site.warn(seat.nic.at("vlan" if seat.nic.vlan else "network"), message, hint)
            return None
        return super().gateway_for(site, seat, version)


def _all(nic: Nic) -> Iterator[int]:
    """All VLANs that a NIC names."""
    if nic.vlan:
        yield nic.vlan
    for first, last in nic.vlans or ():
        yield from range(first, last + 1)


def _inside(vlan: int, several: Iterable[tuple[int, int]]) -> bool:
    return any(first <= vlan <= last for first, last in several)


def _without(vlan: int, several: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    cut = ((first, last) for first, last in several)
    parts = (part for first, last in cut for part in ((first, min(last, vlan - 1)), (max(first, vlan + 1), last)))
    return sorted({(first, last) for first, last in parts if first <= last})
