"""The network type `ipvlan`: each guest has addresses of its own on the host's NIC, all by the NIC's one MAC."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Literal

from pydantic import Field

from guestwire.compile import BuiltNetwork, Seat, Site
from guestwire.compile.subnets import check_subnets
from guestwire.compile.uplink import find, raise_up, see_carrier
from guestwire.errors import Problem
from guestwire.kinds.ipvlan import Ipvlan as IpvlanLink
from guestwire.picture import Key
from guestwire.printable import quote
from guestwire.spec.file import File
from guestwire.spec.scalars import LinkName

__all__ = ["Ipvlan"]


class Ipvlan(BuiltNetwork):
    """Guests on a parent NIC, by the ipvlan driver: all have the NIC's MAC, and are told apart by their addresses."""

    type: Literal["ipvlan"] = Field("ipvlan", description="an ipvlan on the host's NIC, with its MAC")
    uplink: LinkName = Field(description="the host's NIC that is the parent")
    mode: Literal["l2", "l3", "l3s"] = Field(
        "l2",
        description="what a guest takes part in: the LAN itself (l2), or only in what the host routes (l3), through "
        "its netfilter too (l3s)",
    )
    flag: Literal["bridge", "private", "vepa"] = Field(
        "bridge",
        description="whom a guest can talk to on the same parent: all (bridge), nobody (private), whom the switch "
        "sends back (vepa)",
    )

    @property
    def _routes(self) -> bool:
        return self.mode != "l2"

    def shares_as(self) -> str:
        return f"ipvlan {self.mode} {self.flag}"

    def apart_from_host(self) -> str | None:
        remedy = "a second NIC, on a bridge with a subnet, lets them"
        return f"On ipvlan network {quote(self.name)} guests and host don't hear each other: {remedy}"

    def check(self, file: File) -> Iterable[Problem]:
        if self._routes and not self.subnet:
            message = (
                f"mode {self.mode} without subnet: on the uplink's LAN nobody could find its guests by ARP or NDP."
            )
            hint = "Give it a subnet of its own, which the LAN's router has a route to by way of this host; or mode l2."
            yield file.problem(self.path, message, hint)
        for plug in file.plugs(self.name):
            for key in ("mac", "port", "gateway") if self._routes else ("mac", "port"):
                if getattr(plug.nic, key):
                    yield file.problem(plug.nic.at(key), *_WHY[key].split("|"))
            if plug.nic.dhcp:
                yield file.problem(plug.nic.at("address"), *self._no_dhcp())

    def _no_dhcp(self) -> tuple[str, str]:
        message = f"dhcp on network {quote(self.name)}: its guests share one MAC, by which a DHCP server tells clients."
        return message, "Give the NIC an address; or use type macvtap, where each has a MAC of its own."

    def build(self, site: Site) -> None:
        link = find(site, self, self.uplink, one_mac=True)
        if link is None:
            return
        other = next((each for each in site.children(self.uplink) if not self._fits(each)), None)
        if other is not None:
            message = (
                f"uplink {self.uplink} has {other.label()} {other.name}, and one NIC has one driver, mode and flag."
            )
            site.refuse(self.at("uplink"), message, "Use another uplink, or remove that one first.")
            return
        see_carrier(site, self, link)
        raise_up(site, link)
        if self.subnet:
            check_subnets(site, self)

    def _fits(self, there: object) -> bool:
        return isinstance(there, IpvlanLink) and (there.mode, there.flag) == (self.mode, self.flag)

    def link(self, site: Site) -> str:
        return self.uplink

    def plug(self, site: Site, seat: Seat) -> None:
        if seat.device is not None:
            message = (
                f"network {quote(self.name)} of type ipvlan gives no descriptor, and guest {seat.guest} needs one."
            )
            hint = (
                "Use type macvtap. (ipvtap, the kernel's ipvlan with a descriptor, is not among what guestwire makes.)"
            )
            site.refuse(seat.nic.path, message, hint)
            return
        if seat.dhcp:
            site.refuse(seat.nic.path, *self._no_dhcp())
        key, parent = Key("", seat.netns, IpvlanLink.KIND, seat.link), site.uplink(self.uplink)
        site.add(
            IpvlanLink(
                netns=seat.netns,
                name=seat.link,
                owner=site.project,
                parent=(site.host, self.uplink),
                mode=self.mode,
                flag=self.flag,
                mtu=seat.mtu or site.usual_mtu(key, parent),
                link_local=seat.link_local,
                master="",
            )
        )

    def host_addresses(self, site: Site) -> list[str]:
        return [str(host) for host in site.lan(self.uplink).hosts]

    def gateway_of(self, site: Site, version: int) -> str | None:
        if self._routes:
            return ""  # the way out is the link itself
        return None if self.subnet else site.lan(self.uplink).gateway(version)

    def candidates(self, site: Site, version: int) -> Iterator[str]:
        return super().candidates(site, version) if self.subnet else site.lan(self.uplink).candidates(version)

    def prefix(self, site: Site, address: str) -> int | None:
        return super().prefix(site, address) if self.subnet else site.lan(self.uplink).prefix(address)


_WHY = {
    "mac": "mac: on an ipvlan a guest has its parent's MAC.|Leave mac out, or use type macvtap.",
    "port": "port is a bridge's, and an ipvlan has no bridge.|Leave port out.",
    "gateway": "gateway: in this mode a guest has no neighbours; its way out is its link.|Leave gateway out.",
}
