"""check: who takes part, and what was measured between them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from contextlib import suppress
from dataclasses import replace

from guestwire import reach
from guestwire.api.copied import is_copy
from guestwire.api.situation import Situation, meant, see_settled
from guestwire.compile import BuiltGuest, BuiltNetwork, Gateway
from guestwire.daemons import guestagent
from guestwire.errors import FileError
from guestwire.kinds.address import Address
from guestwire.kinds.attachment import Attachment
from guestwire.kinds.bridge import Bridge
from guestwire.kinds.dhcp import DhcpClient
from guestwire.kinds.route import Route
from guestwire.linux.kernel import Kernel
from guestwire.picture import Key, Picture
from guestwire.printable import quote
from guestwire.reach import Door, Expected, Progress, Report, Seat, Station
from guestwire.spec.file import File, Instance
from guestwire.spec.models import Nic

__all__ = ["check", "expected", "explained", "of_programs"]

ANSWER = 2.0  # seconds that a guest agent which is there gets to tell of its addresses


def check(
    path: str | None = None,
    *,
    lab: bool = False,
    project: str | None = None,
    netns: str | None = None,
    progress: Progress | None = None,
) -> Report:
    """Measure every pair of guests, host, lan, gateway and internet, and what the file expects.

    What the probes caused is taken back. Raises FileError where the project isn't up, Unavailable where the kernel's
    neighbour table is full.
    """
    where = meant(path, lab=lab, project=project, netns=netns)
    if where.state is None:
        raise FileError(f"project {where.project} is not up.", hint="Bring it up first: `guestwire up`.")
    with Kernel() as kernel:
        see_settled(kernel, where, waiting=True)
        where.plan(kernel)
        assert where.seen is not None
        reach.forwarding(kernel, {bridge.netns for bridge in where.seen.of(Bridge) if bridge.stp})
        stations = _Stations(where).all()
        report = reach.check(kernel, stations, where.file.expect, progress, where.file.members)
    return replace(report, expectations=tuple(explained(where.file, report.expectations)))


def expected(kernel: Kernel, where: Situation, texts: Collection[str], timeout: float) -> dict[str, Expected]:
    """Judge those of the file's expectations, by their words, on what the situation has seen; measure no more.

    Raises as `reach.judge` does.
    """
    asked = [each for each in where.file.expect if each.text in texts]
    judged = reach.judge(kernel, _Stations(where).all(), asked, where.file.members, timeout)
    return {each.text: each for each in explained(where.file, judged)}


def explained(file: File, judged: Iterable[Expected]) -> Iterator[Expected]:
    """The same; with what of its network keeps a guest and the host apart, where they should reach each other."""
    pairs = {each.text: {each.source, each.target} for each in file.expect if each.reaches}
    for each in judged:
        names = pairs.get(each.text, set()) if each.held is False else set()
        why = _apart_from_host(file, names - {"host"}) if "host" in names else None
        yield each._replace(why=f"{each.why}. {why}") if why else each


def _apart_from_host(file: File, names: Collection[str]) -> str | None:
    name = next(iter(names), "host")
    instance = file.instance(name)
    guest = instance.guest if instance is not None else file.guests.get(name)
    networks = [file.networks[nic.network] for nic in guest.nics] if guest is not None else []
    whys = [network.apart_from_host() for network in networks if isinstance(network, BuiltNetwork)]
    return whys[0] if whys and all(whys) else None


def of_programs(file: File) -> set[str]:
    """The words of the expectations that hold only once somebody's program runs: those that ask a guest of its own."""

    def is_program(name: str) -> bool:
        instance = file.instance(name)
        return instance is not None and isinstance(instance.guest, BuiltGuest) and not instance.guest.HAS_NAMESPACE

    return {each.text for each in file.expect if each.reaches and any(map(is_program, file.members(each.target)))}


def _told(agents: Collection[str]) -> dict[str, dict[str, list[str]]]:
    """The addresses that guest agents tell of, by each one's socket and its NICs' MACs; all are asked at once."""

    def ask(agent: str) -> dict[str, list[str]]:
        with suppress(OSError):
            return guestagent.addresses(agent, ANSWER)
        return {}

    if not agents:
        return {}
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(len(agents)) as threads:
        return dict(zip(agents, threads.map(ask, agents), strict=True))


class _Stations:
    """The guests and places of a project, with the addresses that they have now."""

    def __init__(self, where: Situation) -> None:
        assert where.site is not None
        assert where.seen is not None
        self.where = where
        self.site = where.site
        self.seen: Picture = where.seen
        self.networks = [n for n in where.file.networks.values() if isinstance(n, BuiltNetwork)]
        self.alone = {network.name for network in self.networks if network.alone}
        self.addresses: dict[tuple[str, str], list[str]] = {}
        for address in self.seen.of(Address):
            self.addresses.setdefault((address.netns, address.link), []).append(address.address)

    def all(self) -> list[Station]:
        """Guests in the file's order, then the places."""
        return [*self._guests(), self._host(), *(self._lab() if self.where.lab else self._outside())]

    def _guests(self) -> list[Station]:
        instances = list(self.where.file.expand())
        agents = [self._agent(instance) for instance in instances]
        told = _told({agent for agent in agents if agent})
        return [self._guest(each, agent, told.get(agent, {})) for each, agent in zip(instances, agents, strict=True)]

    def _agent(self, instance: Instance) -> str:
        assert isinstance(instance.guest, BuiltGuest)
        return instance.guest.agent(self.seen, self.where.host, f"{self.where.project}/{instance.name}")

    def _guest(self, instance: Instance, agent: str, told: dict[str, list[str]]) -> Station:
        guest, kind = instance.guest, instance.guest.kind
        assert isinstance(guest, BuiltGuest)
        seats = tuple(self.site.seats[instance.name, nic.index] for nic in guest.nics)
        absent = self._absence(instance)
        if absent:
            plain = (tuple(a.partition("/")[0] for a in seat.addresses) for seat in seats)
            nics = tuple(Seat(s.nic.network, s.link, a) for s, a in zip(seats, plain, strict=True))
            return Station(instance.name, None, nics, kind, absent=absent)
        if not guest.HAS_NAMESPACE:  # its program has the addresses, of which we know what the file says
            known = (tuple(a.partition("/")[0] for a in told.get(seat.mac) or seat.addresses) for seat in seats)
            nics = tuple(Seat(s.nic.network, s.link, a) for s, a in zip(seats, known, strict=True))
            mute = guest.MUTE.format(instance.name)
            return Station(instance.name, None, nics, kind, agent=agent, mute=mute)
        netns = f"{self.where.project}-{instance.name}"
        return Station(instance.name, netns, tuple(self._nic(instance.name, netns, n) for n in guest.nics), kind)

    def _absence(self, instance: Instance) -> str:
        """Why a container, in a copy a domain, isn't there to be asked, and what to do; "" where a guest is there."""
        if is_copy() and isinstance(instance.guest, BuiltGuest) and not instance.guest.COPIED:
            return f"guest {quote(instance.name)}: it isn't part of the copy."
        gone = self.site.absent.get(instance.name)
        if gone is not None:
            return " ".join(filter(None, (gone.message, gone.hint, "`guestwire up` then plugs it in.")))
        netns = f"{self.where.project}-{instance.name}"
        key = Key("", netns, Attachment.KIND, netns)
        wanted, there = self.site.desired.picture.get(key), self.seen.get(key)
        if wanted is None or (there is not None and not wanted.differs(there)):
            return ""
        return f"guest {quote(instance.name)}: its container was started anew. `guestwire up` plugs it in."

    def _nic(self, guest: str, netns: str, nic: Nic) -> Seat:
        return self._seat(nic.network, netns, self.site.seats[guest, nic.index].link)

    def _seat(self, network: str, netns: str, link: str) -> Seat:
        # On a network without a segment nobody can be introduced: `link` says on which segment a seat is.
        shared = "" if network in self.alone else link
        return Seat(network, shared, tuple(self.addresses.get((netns, link), ())))

    def _host(self) -> Station:
        """The host has a seat on each network, and a last one where its default routes leave."""
        seats = []
        for network in self.networks:
            plain = [address.partition("/")[0] for address in network.host_addresses(self.site)]
            link = "" if network.alone else network.link(self.site)
            lent = [c.lease.plain for c in self.seen.of(DhcpClient, self.where.host) if c.link == link and c.lease]
            if lent:  # in place of the one that it has in other labs
                plain = [*lent, *(address for address in plain if ":" in address)]
            seats.append(Seat(network.name, link, tuple(plain)))
        routes = [r for r in self.seen.of(Route, self.where.host) if r.is_default and r.link]
        leaving = dict.fromkeys(r.link for r in routes if r.link)
        last = [a for link in leaving for a in self.addresses.get((self.where.host, link), ())]
        seats.append(Seat("", next(iter(leaving), ""), tuple(last)))
        kind = "lab" if self.where.lab else "outside"
        return Station("host", self.where.host, tuple(seats), kind, tuple(self._doors()))

    def _doors(self) -> Iterator[Door]:
        """The host's ports that lead to guests."""
        for network in self.networks:
            for each in network.forward if isinstance(network, Gateway) else ():
                instance = self.where.file.instance(each.to)
                assert instance is not None
                netns = f"{self.where.project}-{each.to}"
                nic = next(nic for nic in instance.guest.nics if nic.network == network.name)
                for family, address in self._nic(each.to, netns, nic).by_family.items():
                    yield Door(each.proto, each.host, family, netns, address, each.port or each.host)

    def _lab(self) -> list[Station]:
        lab = self.where.built_lab
        assert lab is not None
        stations = []
        for place in ("lan", "gateway"):
            netns = lab.namespaces[place]
            seats = [
                self._seat(network.name, netns, lab.link_on(network.uplink))
                for network in self.networks
                if network.uplink and network.is_on_lan
            ]
            stations.append(Station(place, netns, (*seats, self._seat("", netns, "eth0")), "lab"))
        netns = lab.namespaces["internet"]
        return [*stations, Station("internet", netns, (self._seat("", netns, "eth0"),), "lab")]

    def _outside(self) -> list[Station]:
        """What of the outside has an address that we know: the gateways of the host's default routes."""
        routes = [r for r in self.site.base.of(Route, self.where.host) if r.is_default]
        gateways = tuple(route.gateway for route in routes if route.gateway)
        return [Station("gateway", None, (Seat("", "", gateways),), "outside")] if gateways else []
