"""Builds the picture of a lab: the host before guestwire touches it, and all that is around it.

    internet ── gateway ──┐
                          ├── switch ── host (eth0, its first uplink)
              lan ────────┘

Each is a namespace of its own. Each uplink has its switch and LAN, unless `same-lan` puts all on the first. What a real
switch or provider does is an option of the switch's port to the host: reflective relay is `hairpin`, one MAC is a
`locked` port with the host's MAC in the forwarding table.
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import ip_interface

from guestwire.compile.lan import Lan
from guestwire.daemons import dnsmasq
from guestwire.errors import FileError, Unavailable
from guestwire.kinds import Thing
from guestwire.kinds.address import Address
from guestwire.kinds.bridge import Bridge
from guestwire.kinds.dhcp import DhcpClient
from guestwire.kinds.fdb import Fdb
from guestwire.kinds.mark import derived_mac
from guestwire.kinds.namespace import Namespace
from guestwire.kinds.nft import Nft
from guestwire.kinds.port import Port
from guestwire.kinds.process import Process
from guestwire.kinds.route import Route
from guestwire.kinds.sysctl import IPV4_FORWARD, IPV6_FORWARD, Sysctl
from guestwire.lab.parts import cable, dhcp_server
from guestwire.linux import nftables
from guestwire.linux.programs import find_program
from guestwire.linux.routes import DEFAULTS
from guestwire.picture import Picture
from guestwire.places import PLACES, SWITCH
from guestwire.spec import File

__all__ = ["Lab"]

GATEWAY, HOST, NEIGHBOUR = 1, 10, 100
FREE = tuple(n for n in (*range(200, 255), *range(149, HOST, -1)) if n != NEIGHBOUR)  # for guests, in this order
INTERNET = (("203.0.113.", 24), ("2001:db8:ffff::", 64))
NAT = "type nat hook postrouting priority srcnat; oifname internet ip saddr != 203.0.113.0/24 masquerade"


@dataclass(frozen=True)
class _Segment:
    """One LAN: its number, and what its addresses start with."""

    number: int

    @property
    def heads(self) -> tuple[tuple[str, int], tuple[str, int]]:
        """For IPv4 and IPv6: what an address starts with, and its prefix length."""
        known = ("192.0.2.", "198.51.100.")
        four = known[self.number] if self.number < len(known) else f"198.18.{self.number - len(known)}."
        return (four, 24), (f"2001:db8:{self.number + 1}::", 64)

    def interfaces(self, number: int) -> list[str]:
        """The addresses of that number, both families, with prefix."""
        return [f"{head}{number}/{prefix}" for head, prefix in self.heads]

    def addresses(self, number: int) -> list[str]:
        """The same without."""
        return [f"{head}{number}" for head, _ in self.heads]


class Lab:
    """The lab of a file. Raises Unavailable where a program is missing, FileError where an uplink's name can't be."""

    def __init__(self, file: File, run: str) -> None:
        self.project = file.name
        self.options = file.lab
        self.run = run
        self.uplinks = list(dict.fromkeys(n.uplink for n in file.networks.values() if n.uplink)) or ["eth0"]
        self.namespaces = {place: f"{self.project}-{place}" for place in PLACES}
        self.switch = f"{self.project}.{SWITCH}"
        self.segments = [_Segment(0 if self.options.same_lan else i) for i in range(len(self.uplinks))]
        self.host = self.namespaces["host"]
        self._check(file)
        if not nftables.available():
            raise Unavailable("a lab's gateway does NAT, and `nft` is missing.", hint="Install the package nftables.")
        if self.options.dhcp and not find_program("dnsmasq"):
            raise Unavailable(
                "a lab's gateway answers DHCP, and `dnsmasq` is missing.",
                hint=f"Install the package {dnsmasq.PACKAGE}, or write `lab: {{dhcp: false}}` into the file.",
            )

    def _check(self, file: File) -> None:
        """Raise FileError for uplinks called as what is on the switch, and for options that don't go together."""
        taken = {name for i in range(len(self.uplinks)) for name in (f"lan{i}", f"lan.{i}", f"gateway.{i}")}
        problems = [
            file.problem(
                network.at("uplink"),
                f"in a lab no uplink can be called {network.uplink}: its switch has a link of that name.",
                "Use another name, as eth0.",
            )
            for network in file.networks.values()
            if network.uplink in taken
        ]
        if self.options.host_dhcp and not self.options.dhcp:
            message = "host-dhcp: nothing would answer the host, since dhcp is off."
            problems.append(file.problem(("lab", "host-dhcp"), message, "Leave one of the two out."))
        if problems:
            raise FileError(*problems)

    def picture(self) -> Picture:
        """Everything in the lab that isn't the file's networks and guests."""
        picture = Picture()
        for name in (self.host, self.switch, *self.namespaces.values()):
            picture.add(Namespace.named(name, self.project))
        for number in sorted({segment.number for segment in self.segments}):
            picture.add(*self._segment(_Segment(number)))
        for i in range(len(self.uplinks)):
            picture.add(*self._uplink(i))
        picture.add(*self._internet())
        for place, link in (("host", self.uplinks[0]), ("lan", "eth0")):
            for destination, gateway in zip(DEFAULTS.values(), _Segment(0).addresses(GATEWAY), strict=True):
                if not (place == "host" and self.options.host_dhcp and "." in gateway):
                    picture.add(Route.to(self.namespaces[place], destination, link, self.project, gateway))
        for place in PLACES:
            # Who answers from an address of another link asks for the neighbour from its link-local one, and for a
            # second DAD would keep it from doing so.
            picture.add(self._sysctl(place, "net/ipv6/conf/default/accept_dad", "0"))
        for path in (IPV4_FORWARD, IPV6_FORWARD):
            # A new namespace has the first as the machine's own has it, which on one with Docker is on.
            picture.add(self._sysctl("host", path, "0"))
        for name in ("all", "default"):
            # The neighbour has a NIC on each LAN and answers by the nearest: no harm, and strict filtering would drop
            # it.
            picture.add(self._sysctl("lan", f"net/ipv4/conf/{name}/rp_filter", "0"))
        return picture

    def lans(self) -> dict[str, Lan]:
        """What guests on each uplink need to know."""
        found = {}
        for i, uplink in enumerate(self.uplinks):
            hosts = [ip_interface(address) for address in self._host_addresses(i)]
            numbers = {HOST + j for j in range(len(self.uplinks))} if self.options.same_lan else set()
            free = tuple(number for number in FREE if number not in numbers)
            others = {each: "the host's" for number in numbers for each in self.segments[i].addresses(number)}
            others |= dict.fromkeys(self.segments[i].addresses(NEIGHBOUR), "the neighbour's (lan)")
            found[uplink] = Lan(tuple(hosts), tuple(self.segments[i].addresses(GATEWAY)), free, others)
        return found

    def elsewhere(self) -> tuple[tuple[str, str], ...]:
        """Networks beyond the gateway, and what they are: subnets of the host's own in there would hide them."""
        return tuple((f"{head}{0 if '.' in head else ''}/{prefix}", "the lab's internet") for head, prefix in INTERNET)

    def link_on(self, uplink: str) -> str:
        """The name of the neighbour's and the gateway's NIC on the LAN behind an uplink."""
        return f"eth{self.segments[self.uplinks.index(uplink)].number}"

    def _host_addresses(self, i: int) -> list[str]:
        return self.segments[i].interfaces(HOST + (i if self.options.same_lan else 0))

    def _sysctl(self, place: str, name: str, content: str) -> Sysctl:
        return Sysctl(netns=self.namespaces[place], name=name, owner=self.project, content=content)

    def _bridge(self, segment: _Segment) -> str:
        return f"lan{segment.number}"

    def _segment(self, segment: _Segment) -> list[Thing]:
        """A LAN: the switch, and the neighbour's and the gateway's NIC on it."""
        bridge = self._bridge(segment)
        mac = derived_mac(self.project, self.switch, bridge)
        link = f"eth{segment.number}"
        found: list[Thing] = [
            Bridge(netns=self.switch, name=bridge, owner=self.project, mac=mac, stp=self.options.stp, master="")
        ]
        for place, number in (("lan", NEIGHBOUR), ("gateway", GATEWAY)):
            netns = self.namespaces[place]
            found += cable(self.project, (self.switch, f"{place}.{segment.number}"), (netns, link), bridge, Port())
            found += [Address.on(netns, link, each, self.project) for each in segment.interfaces(number)]
        if self.options.dhcp:
            found.append(self._dhcp(segment, link))
        return found

    def _uplink(self, i: int) -> list[Thing]:
        """The host's NIC, plugged into its switch."""
        name = self.uplinks[i]
        port = Port(hairpin=self.options.relay, locked=self.options.one_mac)
        pair = cable(self.project, (self.switch, name), (self.host, name), self._bridge(self.segments[i]), port)
        found: list[Thing] = [*pair]
        if self.options.one_mac:
            found.append(Fdb.at(self.switch, name, pair[1].mac or "", self.project))
        addresses = self._host_addresses(i)
        if i == 0 and self.options.host_dhcp:
            addresses = [address for address in addresses if ":" in address]
            found.append(self._client(name, pair[1].mac or ""))
        return found + [Address.on(self.host, name, each, self.project) for each in addresses]

    def _client(self, link: str, mac: str) -> DhcpClient:
        """What lends the host its address."""
        pidfile = f"{self.run}/{self.project}/client-host.pid"
        return DhcpClient.on(
            self.host, link, pidfile, owner=self.project, mac=mac, hostname="host", default=True, resolv=""
        )

    def _internet(self) -> list[Thing]:
        gateway, internet = self.namespaces["gateway"], self.namespaces["internet"]
        found: list[Thing] = [*cable(self.project, (gateway, "internet"), (internet, "eth0"))]
        for netns, link, number in ((internet, "eth0", 1), (gateway, "internet", 2)):
            for head, prefix in INTERNET:
                found.append(Address.on(netns, link, f"{head}{number}/{prefix}", self.project))
        # IPv6 is routed, as at home; IPv4 is not, so the internet knows no way back but to the gateway's own address.
        found.append(Route.to(internet, "2001:db8::/32", "eth0", self.project, "2001:db8:ffff::2"))
        for path in (IPV4_FORWARD, IPV6_FORWARD):
            found.append(self._sysctl("gateway", path, "1"))
        rules = f"chain postrouting {{ {NAT}; }}"
        return [*found, Nft.table(gateway, "inet guestwire", rules, self.project)]

    def _dhcp(self, segment: _Segment, link: str) -> Process:
        four = segment.heads[0][0]
        pidfile = f"{self.run}/{self.project}/dhcp-{link}.pid"
        span = f"{four}150", f"{four}199", "255.255.255.0"
        return dhcp_server(self.namespaces["gateway"], link, pidfile, span, f"{four}{GATEWAY}", self.project)
