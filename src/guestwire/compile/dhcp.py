"""A network's own DHCP and name server: one dnsmasq, bound to its bridge alone.

What it knows of guests lies in two files, which it reads again when it is told: a changed list of guests restarts
nothing, and leases stay. In `hosts` each guest's MAC has its address, in `names` each address its guest's name; other
names go to the host's resolvers.

Who asks gets a fixed address where it is a guest of the file, else one of the subnet's upper half; guestwire itself
gives from the lower end. IPv6 is by DHCPv6 as well (stateful), so that a guest has the address that the file, `status`
and DNS say, and not one of its own making; the router advertisements say so (M without A), and where the default
route leads: of low preference (RFC 4191), and guests that have another by the file have that with a lower metric.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from guestwire.compile.parts import BuiltNetwork
from guestwire.compile.site import Seat, Site
from guestwire.daemons import dnsmasq
from guestwire.errors import Problem
from guestwire.kinds.file import File as FileOnDisk
from guestwire.kinds.process import Process
from guestwire.picture import Key
from guestwire.spec.addresses import Subnet
from guestwire.spec.file import File

__all__ = ["check_dhcp", "lease_file", "reserved", "serve", "why_unserved"]

LEASE = "12h"
MOST_LEASES = 65_536  # dnsmasq's own most is 1,000; so many is a /16, and the span that we give out of for IPv6
ADVERTISED = 60  # seconds between two router advertisements; the default route lasts three times ten minutes


def check_dhcp(network: BuiltNetwork, file: File) -> Iterator[Problem]:
    """What is wrong with `dhcp: true` on this network."""
    where = network.at("dhcp")
    if network.uplink:
        message = (
            f"dhcp beside uplink {network.uplink}: the LAN has a DHCP server, and two would contradict each other."
        )
        yield file.problem(where, message, "Leave dhcp out; or leave uplink out, and give a subnet.")
    elif not network.subnet:
        yield file.problem(where, "dhcp without subnet: there are no addresses to give.", "Give it a subnet.")
    for i, net in enumerate(network.subnet):
        if net.num_addresses < 4:
            message = f"subnet {net} has no address to give by DHCP."
            yield file.problem(network.at("subnet", i), message, "Widen it, or leave dhcp out.")
        elif net.version == 6 and net.prefixlen < 64:
            message = f"subnet {net} is too wide for DHCPv6, which takes a /64 or longer."
            yield file.problem(network.at("subnet", i), message, f"Write {net.network_address}/64.")


def why_unserved(subnets: Iterable[Subnet]) -> str | None:
    """Why a network's own server has nothing for a guest's DHCP client, which asks for IPv4; None where it has."""
    return (
        None
        if any(net.version == 4 for net in subnets)
        else "whose server gives IPv6 addresses, and a NIC asks for IPv4"
    )


def serve(site: Site, network: BuiltNetwork, seats: Sequence[Seat]) -> None:
    """Add the network's dnsmasq, and what it knows of the guests."""
    stem = _stem(site, network)
    named = [(seat, [each.partition("/")[0] for each in seat.addresses]) for seat in seats]
    hosts = [",".join([seat.mac, *(_bracketed(a) for a in addresses), seat.guest]) for seat, addresses in named]
    names = [f"{address} {seat.guest}" for seat, addresses in named for address in addresses]
    names += [f"{host.ip} gateway" for host in network.hosts()]
    for end, lines in (("hosts", hosts), ("names", names)):
        content = "".join(f"{line}\n" for line in lines)
        site.add(FileOnDisk(netns="", name=f"{stem}.{end}", owner=site.project, content=content))
    pidfile = f"{stem}.pid"
    words = dnsmasq.command(pidfile, network.link(site), *_words(network, site, stem))
    site.add(Process(netns=site.host, name=pidfile, owner=site.project, command=words))


def reserved(site: Site, network: BuiltNetwork) -> Iterator[tuple[str, str, str]]:
    """What the network's dnsmasq was told so far of guests, as `BuiltNetwork.reserved` says."""
    told = site.seen.get(Key("", "", FileOnDisk.KIND, f"{_stem(site, network)}.hosts"))
    for line in (told.content or "").splitlines() if isinstance(told, FileOnDisk) else ():
        mac, *addresses, guest = line.split(",")
        yield from ((mac, guest, address.strip("[]")) for address in addresses)


def lease_file(site: Site, network: BuiltNetwork) -> str:
    """Where the network's dnsmasq keeps its leases."""
    return f"{_stem(site, network)}.leases"


def _stem(site: Site, network: BuiltNetwork) -> str:
    return f"{site.run}/dhcp.{network.name}"  # with a dot: a lab's own is called dhcp-LINK


def _words(network: BuiltNetwork, site: Site, stem: str) -> Iterator[str]:
    link = network.link(site)
    yield from ("--no-hosts", "--domain-needed", "--bogus-priv", f"--addn-hosts={stem}.names")
    yield from (f"--dhcp-hostsfile={stem}.hosts", f"--dhcp-leasefile={stem}.leases", f"--dhcp-lease-max={MOST_LEASES}")
    hosts = {host.version: host.ip for host in network.hosts()}
    for net in network.subnet:
        first, last = _span(net)
        if net.version == 4:
            yield f"--dhcp-range={first},{last},{net.netmask},{LEASE}"
            yield f"--dhcp-option=option:router,{hosts[4]}"
            yield f"--dhcp-option=option:dns-server,{hosts[4]}"
            if network.mtu:
                yield f"--dhcp-option=option:mtu,{network.mtu}"
        else:
            yield f"--dhcp-range={first},{last},{net.prefixlen},{LEASE}"
            yield f"--dhcp-option=option6:dns-server,[{hosts[6]}]"
            yield "--enable-ra"
            yield f"--ra-param={link},{f'mtu:{network.mtu},' if network.mtu else ''}low,{ADVERTISED},1800"


def _span(net: Subnet) -> tuple[str, str]:
    """The addresses for those who aren't guests of the file: the upper half, at most as many as there are leases."""
    first = min(net.num_addresses // 2, MOST_LEASES)
    last = min(net.num_addresses - (2 if net.version == 4 else 1), first + MOST_LEASES - 1)
    return str(net[first]), str(net[last])


def _bracketed(address: str) -> str:
    return f"[{address}]" if ":" in address else address
