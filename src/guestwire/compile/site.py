"""Where a file is being compiled: the host as it is without us, the picture so far, and the names given out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from ipaddress import ip_address

from guestwire.compile.firewall import Flow, Stop, stops, taken
from guestwire.compile.lan import Lan
from guestwire.compile.parts import BuiltNetwork
from guestwire.compile.rules import Rules
from guestwire.compile.whereabouts import Absent, Found
from guestwire.errors import Problem
from guestwire.kinds import Link, Thing
from guestwire.kinds.child import Child
from guestwire.kinds.domainnic import DomainNic
from guestwire.kinds.link import USUAL_MTU
from guestwire.kinds.mark import derived_mac, link_name
from guestwire.kinds.tap import NOBODY
from guestwire.linux.census import Listener
from guestwire.linux.nftables import Chain
from guestwire.linux.ties import Tie
from guestwire.picture import Desired, Key, Picture
from guestwire.printable import quote
from guestwire.spec import File
from guestwire.spec.models import Nic
from guestwire.spec.report import Where

__all__ = ["Seat", "Site"]

MOST_TIES = 8  # that are named


@dataclass(frozen=True)
class Seat:
    """A guest's NIC: in which namespace, under which name there, and what it shall have.

    `host_link` is our end's name. A guest that is a program without a namespace has its NIC on the host, and both are
    one link then.
    """

    guest: str
    netns: str
    link: str
    nic: Nic
    mac: str
    mtu: int | None
    addresses: tuple[str, ...]
    host_link: str
    host_long: str | None
    dhcp: bool
    """Whether it asks the servers on its segment for an address."""
    link_local: bool
    """Whether the NIC gets an IPv6 link-local address.

    Not where its network is IPv4 only: each guest's first words in IPv6 are flooded to all others, which takes a
    thousand of them seconds.
    """
    device: str | None = None
    """What it is on the host, "tap" or "macvtap", for somebody to hold its descriptor; None: a link in `netns`."""
    user: int = 0
    group: int = NOBODY
    """Who may open a tap besides who has CAP_NET_ADMIN: who is that user and in that group, as far as it has them."""
    queues: int = 1
    """How many descriptors of it shall be open at once."""


@dataclass
class Site:
    """The host is the namespace `host`; `base` is its picture without us, `seen` what is there now, ours included."""

    file: File
    host: str
    lab: bool
    base: Picture
    seen: Picture
    run: str
    """The folder of the project's own files, below /run."""
    lans: dict[str, Lan] = field(default_factory=dict)
    desired: Desired = field(default_factory=Desired)
    problems: list[Problem] = field(default_factory=list)
    warnings: list[Problem] = field(default_factory=list)
    given: set[tuple[str, str]] = field(default_factory=set)
    """The links (namespace, name) that aren't ours and by whose addresses something of ours is made."""
    moving: list[tuple[Where, Link, str]] = field(default_factory=list)
    """The host's NICs that become ports now, each with the part of the file that asks for it, and its bridge."""
    users: Mapping[str, str] = field(default_factory=dict)
    """The other projects that use uplinks of this host, by the uplinks' names."""
    elsewhere: tuple[tuple[str, str], ...] = ()
    """Networks that the host reaches by its default route only, and what they are: known in a lab."""
    where: Where = ()
    """The part of the file that is being compiled; what is added meanwhile comes from it."""
    origins: dict[Key, Where] = field(default_factory=dict)
    seats: dict[tuple[str, int], Seat] = field(default_factory=dict)
    """Every NIC of a guest, by the guest's name and the NIC's number."""
    rules: Rules = field(default_factory=Rules)
    """What the networks' traffic is translated and guarded by: one nft table for the project."""
    found: Mapping[str, Found | Absent] = field(default_factory=dict)
    """Where the namespaces are of the guests that somebody else keeps."""
    absent: dict[str, Problem] = field(default_factory=dict)
    """The guests that aren't there to be plugged in, each with why: their containers don't run."""
    flows: list[tuple[Where, Flow]] = field(default_factory=list)
    """What must pass the host's firewalls, whoever's they are, and the part of the file that needs it."""

    apart: list[tuple[Where, list[Flow], str, str]] = field(default_factory=list)
    """What a network is apart only by the host's firewalls from, each flow of it, and what to say where one passes."""
    doors: list[tuple[Where, str, int, str]] = field(default_factory=list)
    """The host's ports that lead to guests: who asks for it, protocol and number, and the guest."""

    @property
    def project(self) -> str:
        """The project's name."""
        return self.file.name

    def add(self, *values: Thing) -> None:
        """Put values into the desired picture."""
        self.desired.picture.add(*values)
        for value in values:
            self.origins[value.key] = self.where

    def problem(self, key: Key, message: str, hint: str | None = None) -> Problem:
        """A problem with what has that key in the desired picture, at the place in the file that asks for it."""
        return self.file.problem(self.origins.get(key, ("name",)), message, hint)

    def take(self, value: Thing) -> None:
        """Want a link, or a setting of one or of the whole host, to be so: ours in a lab, else borrowed."""
        links = value.on_links() if not isinstance(value, Link) else ((value.netns, value.name),)
        owners = [link.owner if (link := self.uplink(name)) else None for _, name in links]
        if (set(owners) == {self.project}) if owners else self.lab:
            self.add(replace(value, owner=self.project))
        else:
            self.borrow(value)

    def borrow(self, value: Thing) -> None:
        """Want something that isn't ours to be otherwise; it is given back when the project goes."""
        self.desired.borrowed.add(value.key)
        self.desired.picture.add(value)

    def banish(self, value: Thing) -> None:
        """Want something that isn't ours to be away; it is given back when the project goes."""
        self.desired.borrowed.add(value.key)
        self.desired.absent.add(value.key)
        self.desired.picture.remove(value.key)

    def move(self, value: Thing, moved: Thing) -> None:
        """Want something that isn't ours to be on another link instead, where it stays somebody else's."""
        if moved.key != value.key:
            self.banish(value)
        self.desired.borrowed |= {value.key, moved.key}
        self.add(moved)

    def refuse(self, where: Where, message: str, hint: str | None = None) -> None:
        """Note that the file is wrong for this host."""
        problem = self.file.problem(where, message, hint)
        if problem not in self.problems:  # one NIC in the file is many with a count
            self.problems.append(problem)

    def warn(self, where: Where, message: str, hint: str | None = None) -> None:
        """Note something that works and may surprise."""
        problem = self.file.problem(where, message, hint)
        if problem not in self.warnings:
            self.warnings.append(problem)

    def judge(self, chains: Sequence[Chain]) -> None:
        """Warn of the chains that stop what must pass, each with the rules that its owner would add; of what passes and
        must not; and of those that lead the host's ports elsewhere."""
        found: dict[tuple[Where, str], list[Stop]] = {}
        for where, flow in self.flows:
            for stop in stops(chains, [flow]):
                found.setdefault((where, f"{stop.place} ({stop.how})"), []).append(stop)
        for (where, place), stopped in found.items():
            what = " and ".join(dict.fromkeys(stop.flow.what for stop in stopped))
            remedies = dict.fromkeys(stop.remedy for stop in stopped)
            message = f"{place}, isn't guestwire's, and stops {what}."
            self.warn(where, message, f"To let it pass: {'; '.join(f'`{remedy}`' for remedy in remedies)}")

        for where, flows, message, hint in self.apart:
            if sum(1 for _ in stops(chains, flows)) < len(flows):
                self.warn(where, message, hint)

        for where, proto, port, _ in self.doors:
            other = taken(chains, proto, port, f"guestwire-{self.project}")
            if other is not None:
                place = f"table {other.family} {other.table}, chain {other.name}"
                message = f"{proto}/{port} of the host leads elsewhere: {place}."
                self.warn(where, message, "One of the two has no use: write another port.")

    def see_doors(self, listeners: Sequence[Listener]) -> None:
        """Warn of the ports that lead to guests and at which a program of the host's own waits, as sshd does."""
        open_ = {(each.protocol, each.port) for each in listeners if not ip_address(each.address).is_loopback}
        for where, proto, port, guest in self.doors:
            if (proto, port) in open_:
                message = f"a program of this host's listens on {proto}/{port}, which leads to {quote(guest)}."
                self.warn(
                    where, message, "But for the host itself on loopback nobody reaches it then: write another port."
                )

    def hold(self, where: Where, link: str, bridge: str, ties: Sequence[Tie]) -> None:
        """Warn of what is tied to a NIC that becomes a port, and stays with it."""
        if ties:
            named = "; ".join(map(str, ties[:MOST_TIES])) + ("; and more" if len(ties) > MOST_TIES else "")
            message = f"tied to uplink {link}, and not to be moved: {named}."
            hint = f"They hear nothing there any more: restart these programs on {bridge}, or tied to no link."
            self.warn(where, message, hint)

    def name(self, part: str) -> tuple[str, str | None]:
        """A link's name on the host for a part of the project, and its full name where that had to be shortened."""
        full = f"{self.project}-{part}"
        short = link_name(full)
        return short, full if short != full else None

    def pidfile(self, name: str) -> str:
        """Where a process of the project that is called so has its pid."""
        return f"{self.run}/{name}.pid"

    def mac(self, *names: str) -> str:
        """A MAC of our own making, the same each time."""
        return derived_mac(self.project, *names)

    def uplink(self, name: str) -> Link | None:
        """The host's link of that name as it is without us, or None."""
        return self._links.get(name)

    def children(self, uplink: str) -> list[Child]:
        """The macvlans, macvtaps and ipvlans on a link of the host that aren't this project's, as far as seen."""
        return self._children.get((self.host, uplink), [])

    def strange_ports(self, bridge: str) -> list[int]:
        """The MTUs of the ports of a bridge that aren't this project's."""
        return self._strange_ports.get(bridge, [])

    def usual_mtu(self, key: Key, parent: Link | None) -> int | None:
        """The MTU of a link to which the file gives none: None for a new one, which takes its parent's by itself.

        One that is there may have had another.
        """
        return parent.mtu or USUAL_MTU if parent and key in self.seen else None

    @cached_property
    def forwards(self) -> bool:
        """Whether a network of the file makes the host forward."""
        return any(isinstance(each, BuiltNetwork) and each.passes_on for each in self.file.networks.values())

    @cached_property
    def _links(self) -> dict[str, Link]:
        return {link.name: link for link in self.base.of(Link, self.host)}

    @cached_property
    def _strange_ports(self) -> dict[str, list[int]]:
        found: dict[str, list[int]] = {}
        for link in self.seen.of(Link, self.host):
            if link.master and link.mtu and link.owner != self.project:
                found.setdefault(link.master, []).append(link.mtu)
        return found

    @cached_property
    def _children(self) -> dict[tuple[str, str], list[Child]]:
        found: dict[tuple[str, str], list[Child]] = {}
        ours = {(nic.netns, nic.link) for nic in self.seen.of(DomainNic) if nic.owner == self.project}
        for link in self.seen.of(Child):
            if link.parent and link.owner != self.project and link.place not in ours:
                found.setdefault(link.parent, []).append(link)
        return found

    def lan(self, uplink: str) -> Lan:
        """The LAN behind an uplink."""
        if uplink not in self.lans:
            self.lans[uplink] = Lan.behind(self.base, self.host, uplink)
        return self.lans[uplink]
