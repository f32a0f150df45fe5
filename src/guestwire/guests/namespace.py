"""The guest kind `namespace`: a network namespace with NICs, addresses and routes of its own; no image, no process."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from pydantic import Field

from guestwire.compile import BuiltGuest, BuiltNetwork, Seat, Site
from guestwire.compile.inside import add_addresses, add_routes, ask_servers
from guestwire.compile.plug import held_as
from guestwire.errors import Problem
from guestwire.kinds.cable import Cable
from guestwire.kinds.file import File as FileOnDisk
from guestwire.kinds.namespace import Namespace as NamespaceThing
from guestwire.kinds.tap import Tap
from guestwire.spec.file import File

__all__ = ["Namespace"]


def _resolv(netns: str) -> str:
    """The place where `ip netns exec` looks for what a namespace shall find in /etc."""
    return f"/etc/netns/{netns}/resolv.conf"


class Namespace(BuiltGuest):
    """A network namespace."""

    kind: Literal["namespace"] = Field("namespace", description="a network namespace")

    def check(self, file: File) -> Iterable[Problem]:
        yield from super().check(file)
        for nic in self.nics:
            if nic.device == "tun":
                message = "device tun carries packets without Ethernet, and a namespace's NIC has Ethernet."
                yield file.problem(nic.at("device"), message, "Use device tap, or leave device out.")

    def build(self, site: Site, name: str, seats: list[Seat]) -> None:
        netns = f"{site.project}-{name}"
        site.add(NamespaceThing.named(netns, site.project))
        for seat in seats:
            network = site.file.networks[seat.nic.network]
            assert isinstance(network, BuiltNetwork)
            network.plug(site, seat)
            if seat.device is not None:
                self._cable(site, seat, network)
            add_addresses(site, seat)
        led = add_routes(site, netns, seats, seats)
        networks = [site.file.networks[seat.nic.network] for seat in seats]
        answering = (n.name_servers() for n in networks if isinstance(n, BuiltNetwork) and n.name_servers())
        dns = tuple(map(str, self.dns)) or next(answering, ())
        ask_servers(site, name, seats, led, "" if dns else _resolv(netns))
        if dns:
            servers = "".join(f"nameserver {address}\n" for address in dns)
            site.add(FileOnDisk(netns="", name=_resolv(netns), owner=site.project, content=servers))

    def _cable(self, site: Site, seat: Seat, network: BuiltNetwork) -> None:
        """The guest's NIC, and the cable to the link that the network has plugged in for it on the host."""
        assert seat.device is not None
        mac, mtu = held_as(site, seat, network)
        site.add(
            Tap(
                netns=seat.netns,
                name=seat.link,
                owner=site.project,
                mac=mac,
                user=seat.user,
                group=seat.group,
                mtu=mtu,
                link_local=seat.link_local,
                master="",
            ),
            Cable(
                netns=seat.netns,
                name=seat.link,
                owner=site.project,
                end=(site.host, seat.host_link, seat.device),
            ),
        )
