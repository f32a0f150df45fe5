"""What is wrong between the parts of a file: names, who is plugged where, MACs, addresses, subnets, uplinks.

What only one network type or guest kind can judge is in its own `check`.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from itertools import islice

from guestwire.kinds.link import LEAST_MTU_IPV6, fits_ipv6
from guestwire.places import PLACES
from guestwire.printable import quote
from guestwire.spec.addresses import Address, Host, Subnet, bare, unusable
from guestwire.spec.expect import Expectation
from guestwire.spec.file import File, numbered
from guestwire.spec.models import Guest, Network, Nic
from guestwire.spec.registry import keys
from guestwire.spec.report import Report, Where, meant

__all__ = ["check"]

MAX_GUESTS = 100_000  # more than any host can run: a slip of the keyboard, or an attack


def check(file: File, report: Report, networks: set[str], guests: Mapping[str, int | None]) -> None:
    """Report all of it. `networks` and `guests` (with their count) are those written, whether or not they are valid."""
    _names(file, report, guests)
    total = sum(guest.number for guest in file.guests.values())
    if total > MAX_GUESTS:
        report.at(("guests",), f"{total:,} guests; {MAX_GUESTS:,} is the most.", 'Lower a "count".')
        return
    for guest in file.guests.values():
        _nics(file, guest, report, networks)
    _macs(file, report)
    _addresses(file, report)
    _uplinks(file, report)
    _subnets(file, report)
    for network in file.networks.values():
        _fits(file, network, report)
        report.extend(network.check(file))
    for guest in file.guests.values():
        report.extend(guest.check(file))
    _expectations(file, report, guests)


def _names(file: File, report: Report, guests: Mapping[str, int | None]) -> None:
    for name, guest in file.guests.items():
        if name.lower() in PLACES:
            message = f"{quote(name)} is no name for a guest: it means the {name.lower()} itself."
            report.at(guest.path, message, f"Use another, as my-{name.lower()}.", key=True)
        many = numbered(name, guests) if guest.count is None else None
        if many is not None and many in file.guests:
            message = f"the name is taken: {quote(many)} has a count of {guests[many]}, which makes one of this name."
            report.at(guest.path, message, "Give one of the two another name.", key=True)
        longest = len(name) + len(f"-{guest.count}") if guest.count else 0
        if longest > 63 >= len(name):
            message = f"with -{guest.count} the name has {longest} characters; 63 is the most."
            report.at(guest.path, message, "Shorten it.", key=True)


def _nics(file: File, guest: Guest, report: Report, networks: set[str]) -> None:
    links: dict[str, int] = {}
    default: Nic | None = None
    for i, nic in enumerate(guest.nics):
        network = file.networks.get(nic.network)
        if nic.network not in networks:
            report.at(nic.at("network"), f"there is no network {quote(nic.network)}.", partial(_network, nic, networks))
        if network and nic.device and nic.device not in network.devices:
            can = " or ".join(network.devices)
            message = f"device {nic.device} doesn't fit network {quote(network.name)} of type {network.type}."
            report.at(nic.at("device"), message, f"It can be {can}." if can else "Leave device out.")
        _vlans(network, nic, report)
        if network and nic.mtu and network.mtu and nic.mtu > network.mtu:
            message = f"mtu {nic.mtu} is over the {network.mtu} of network {quote(network.name)}."
            report.at(nic.at("mtu"), message, f"Write {network.mtu} or less, or raise the network's.")
        if network and nic.portgroup and "portgroups" not in type(network).model_fields:
            message = f"network {quote(network.name)} of type {network.type} has no port groups."
            report.at(nic.at("portgroup"), message, "Leave portgroup out.")
        link = nic.name or f"eth{i}"
        if link == "lo":
            report.at(nic.at("name"), "lo is the guest's loopback.", "Use another name.")
        elif link in links:
            message = f"NIC {links[link] + 1} is called {link} too."
            report.at(nic.at("name"), message, "Give one of them another name.")
        links.setdefault(link, i)
        if nic.default_route and default:
            message = f"NIC {default.index + 1} has the default route already."
            report.at(nic.at("default-route"), message, "Keep it on one of them.")
        default = default or (nic if nic.default_route else None)
        for key, given in (("mac", nic.mac), ("address", nic.fixed)):
            if given and guest.number > 1:
                message = f"{key}: {guest.count} guests can't share one {key.upper() if key == 'mac' else key}."
                hint_ = f"Leave {key} out, or write a guest of its own for it."
                report.at(nic.at(key), message, hint_)


def _vlans(network: Network | None, nic: Nic, report: Report) -> None:
    if network is None or network.segmented:
        return
    for key in ("vlan", "vlans"):
        if getattr(nic, key) is not None:
            message = f"{key}: network {quote(network.name)} of type {network.type} tells no VLANs apart."
            can = "vlans" in keys(type(network))
            report.at(nic.at(key), message, "Write vlans: true there." if can else f"Leave {key} out.")


def _network(nic: Nic, networks: set[str]) -> str:
    return meant(nic.network, networks) or "Define it under networks."


def _macs(file: File, report: Report) -> None:
    seen: dict[str, Nic] = {}
    for guest in file.guests.values():
        for nic in guest.nics:
            if nic.mac and (first := seen.setdefault(nic.mac, nic)) is not nic:
                message = f"MAC {nic.mac} is {_whose(first)} already."
                report.at(nic.at("mac"), message, "Use another, or leave it out: one is made from the name.")


def _whose(nic: Nic) -> str:
    return f"that of guest {quote(nic.path[1])}, NIC {nic.index + 1}"


def _addresses(file: File, report: Report) -> None:
    """Each given address: inside the subnet, free, and one that a host can have."""
    taken: dict[tuple[str, Address], Nic] = {}
    for guest in file.guests.values():
        for nic in guest.nics:
            network = file.networks.get(nic.network)
            if network is None or not (nic.address or nic.gateway):
                continue
            for i, given in enumerate(nic.address):
                _address(network, nic.at("address", i), given, nic, taken, report)
            for i, gateway in enumerate(nic.gateway or ()):
                _gateway(network, nic, i, gateway, report)


def _address(
    network: Network,
    where: Where,
    given: Address | Host | str,
    nic: Nic,
    taken: dict[tuple[str, Address], Nic],
    report: Report,
) -> None:
    if isinstance(given, str):
        if why := network.why_no_dhcp():
            message = f"address: nothing answers DHCP on network {quote(network.name)}, {why}."
            report.at(where, message, "Leave address out: one is assigned where the network has a subnet.")
        return
    address, prefix = bare(given)
    segment = network.uplink or f"/{network.name}"  # no link's name has a slash
    net = next((net for net in network.subnet if net.version == address.version), None)

    def free() -> str:
        return _free(network, net, segment, taken)

    if (first := taken.setdefault((segment, address), nic)) is not nic:
        report.at(where, f"address {address} is {_whose(first)} already.", free)
    elif net is None and network.subnet:
        message = f"address {address}: network {quote(network.name)} has no IPv{address.version} subnet."
        report.at(where, message, f"Use one of {network.subnet[0]}, or give the network such a subnet.")
    elif net is None and network.uplink is None and prefix is None:
        message = f"address {address} has no prefix length, and network {quote(network.name)} no subnet to tell it."
        full = f"{address}/{24 if address.version == 4 else 64}"
        report.at(where, message, f"Write {full}, or give the network a subnet.")
    elif net is not None and address not in net:
        report.at(where, f"address {address} is outside {net}, the subnet of network {quote(network.name)}.", free)
    elif net is not None and (what := unusable(address, net)):
        report.at(where, f"address {address} is {what} address of {net}.", free)
    elif net is not None and prefix not in (None, net.prefixlen):
        message = f"address {given} has the prefix /{prefix}, and the network's subnet is {net}."
        report.at(where, message, f"Write {address}.")
    elif any(bare(host)[0] == address for host in network.hosts()):
        report.at(where, f"address {address} is the host's own on network {quote(network.name)} (the gateway).", free)
    elif address.version == 6 and not fits_ipv6(mtu := nic.mtu or network.mtu):
        report.at(
            where,
            f"address {address} needs an MTU of {LEAST_MTU_IPV6}, as IPv6 does, and the NIC has {mtu}.",
            "Raise mtu.",
        )


def _free(network: Network, net: Subnet | None, segment: str, taken: dict[tuple[str, Address], Nic]) -> str:
    if net is None:
        return "Use another."
    used = {bare(host)[0] for host in network.hosts()}
    # One of the first so many is free, if there are so many.
    hosts = islice(net.hosts(), len(taken) + len(used) + 1)
    found = next((host for host in hosts if host not in used and (segment, host) not in taken), None)
    return f"{found} is free." if found else f"{net} has none left: widen the subnet."


def _gateway(network: Network, nic: Nic, index: int, gateway: Address, report: Report) -> None:
    where = nic.at("gateway", index)
    nets = [net for net in network.subnet if net.version == gateway.version]
    nets += [given.network for given in nic.fixed if isinstance(given, Host) and given.version == gateway.version]
    if any(bare(given)[0] == gateway for given in nic.fixed):
        report.at(where, f"gateway {gateway} is the NIC's own address.", "Use that of a router on the network.")
    elif nets and not any(gateway in net for net in nets):
        message = f"gateway {gateway} is outside {' and '.join(map(str, nets))}: the guest couldn't reach it."
        report.at(where, message, "Use that of a router on the network.")


def _uplinks(file: File, report: Report) -> None:
    users: dict[str, list[Network]] = {}
    for network in file.networks.values():
        if network.uplink == "lo":
            report.at(network.at("uplink"), "uplink lo is the host's loopback, no NIC.", "Use one, as eth0.")
        elif network.uplink:
            users.setdefault(network.uplink, []).append(network)
    for uplink, sharing in users.items():
        _alike(uplink, sharing, report)
        exclusive = next((network for network in sharing if network.why_exclusive()), None)
        if exclusive is None or len(sharing) == 1:
            continue
        keeper = sharing[0] if sharing[0] is not exclusive else exclusive
        for network in sharing:
            if network is keeper:
                continue
            other = keeper if network is exclusive else exclusive
            message = f"uplink {uplink} is network {quote(other.name)}'s too: {exclusive.why_exclusive()}."
            report.at(network.at("uplink"), message, "Use another uplink, or plug the guests into the other network.")


def _alike(uplink: str, sharing: list[Network], report: Report) -> None:
    """Report networks that use an uplink otherwise than the first on it that has a way of its own."""
    particular = [network for network in sharing if network.shares_as()]
    for network in particular[1:]:
        first = particular[0]
        if network.shares_as() != first.shares_as():
            message = f"uplink {uplink} is network {quote(first.name)}'s too, as {first.shares_as()}; not as both."
            report.at(network.at("uplink"), message, "Use another uplink, or have both alike.")


def _subnets(file: File, report: Report) -> None:
    """Subnets of one family sorted by address overlap only where one begins before the widest so far ends."""
    every = [(net, network, i) for network in file.networks.values() for i, net in enumerate(network.subnet)]
    order = {name: i for i, name in enumerate(file.networks)}
    widest: tuple[Subnet, Network, int] | None = None
    for entry in sorted(every, key=lambda e: (e[0].version, int(e[0].network_address), e[0].prefixlen)):
        if widest and widest[0].version == entry[0].version and entry[0].network_address in widest[0]:
            first, second = sorted((widest, entry), key=lambda e: order[e[1].name])
            message = f"subnet {second[0]} overlaps {first[0]}, that of network {quote(first[1].name)}."
            report.at(second[1].at("subnet", second[2]), message, "Use another: each address is on one network.")
        else:
            widest = entry


def _fits(file: File, network: Network, report: Report) -> None:
    """Enough addresses for all NICs, and an MTU that IPv6 can live with."""
    for i, net in enumerate(network.subnet):
        needing = sum(plug.guest.number for plug in file.plugs(network.name) if _needs(plug.nic, net.version))
        room = _room(net) - sum(1 for host in network.hosts() if host.version == net.version)
        if needing > room:
            message = f"subnet {net} has room for {max(room, 0):,} guests' NICs, and {needing:,} need an address in it."
            # Besides the NICs' addresses: the network's own, the broadcast address and the host's.
            wider = net.max_prefixlen - (needing + 2).bit_length()
            report.at(network.at("subnet", i), message, f"A /{wider} has enough.")
        if net.version == 6 and not fits_ipv6(network.mtu):
            message = (
                f"mtu {network.mtu} is under the {LEAST_MTU_IPV6} that IPv6 needs, and the network has subnet {net}."
            )
            report.at(network.at("mtu"), message, f"Raise it to {LEAST_MTU_IPV6}, or leave that subnet out.")


def _needs(nic: Nic, version: int) -> bool:
    return not nic.address or any(given.version == version for given in nic.fixed)


def _room(net: Subnet) -> int:
    """How many addresses hosts can have in it."""
    if net.num_addresses <= 2:
        return net.num_addresses
    return net.num_addresses - (2 if net.version == 4 else 1)


def _expectations(file: File, report: Report, guests: Mapping[str, int | None]) -> None:
    for expectation in file.expect:
        for name in dict.fromkeys((expectation.source, expectation.target)):
            if name not in PLACES and name not in guests and numbered(name, guests) is None:
                message = f"there is no guest {quote(name)} in {quote(expectation.text)}."
                report.at(expectation.path, message, partial(_who, name, guests))
        if expectation.source == expectation.target and _single(expectation, file):
            message = f"{quote(expectation.text)} says nothing: both are the same."
            report.at(expectation.path, message, "Name two.")


def _single(expectation: Expectation, file: File) -> bool:
    guest = file.guests.get(expectation.source)
    return guest is None or guest.number == 1


def _who(name: str, guests: Mapping[str, int | None]) -> str | None:
    stem = name.rpartition("-")[0]
    if guests.get(stem) is not None:
        plain = quote(stem)[1:-1]
        return f"{quote(stem)} has a count of {guests[stem]}: {plain}-1 … {plain}-{guests[stem]}."
    return meant(name, {**guests, **dict.fromkeys(PLACES)}.keys() if len(guests) < 10_000 else guests)
