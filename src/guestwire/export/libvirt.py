"""A file as libvirt's XML: networks, a host interface for a bridge that has a NIC of the host's, and guests' NICs.

libvirt's own words differ from ours in a few things, which are told: it has no routed segment without a bridge, no
macvtap in mode source, no ports of the host's that lead to guests, and of a port's options only `isolated`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from xml.etree import ElementTree

from guestwire.compile import BuiltNetwork, Seat, Site
from guestwire.compile.tolibvirt import libvirt_link
from guestwire.daemons.libvirtxml import Interface, Network, documents
from guestwire.export import Document, Exported
from guestwire.kinds import Link
from guestwire.kinds.address import Address
from guestwire.kinds.bridge import Bridge
from guestwire.printable import quote

__all__ = ["again", "export", "remark"]


def export(site: Site) -> Exported:
    """A compiled file as networks, host interfaces and guests' NICs."""
    found: list[Document] = []
    told: list[str] = []
    known: set[str] = set()
    for network in site.file.networks.values():
        assert isinstance(network, BuiltNetwork)
        seats = [seat for seat in site.seats.values() if seat.nic.network == network.name]
        made, unsaid = network.as_libvirt(site, seats)
        told += [f"network {quote(network.name)}: {each}" for each in unsaid]
        if made is None:
            continue
        known.add(network.name)
        found += [_document(f"{name}.interface.xml", text, "interface") for name, text in _bridges(site, network)]
        found.append(_document(f"{made.name}.xml", made.xml(), "network"))
    for seat in site.seats.values():
        if seat.nic.network in known:
            told += [f"NIC {quote(seat.nic.link)} of {quote(seat.guest)}: {each}" for each in _unsaid(seat)]
            found.append(_document(f"{seat.guest}-{seat.nic.link}.xml", _nic(site, seat).xml(), "", seat.guest))
    return Exported(tuple(found), tuple(dict.fromkeys(told)))


def again(text: str) -> Exported:
    """Networks and NICs of domains as they stand in a text, written back."""
    found = []
    for number, each in enumerate(documents(text)):
        network = isinstance(each, Network)
        name = each.name if isinstance(each, Network) else f"nic-{number}"
        if not name or "/" in name:
            raise ValueError("a network in it has no name" if not name else f"no network can be called {quote(name)}")
        found.append(_document(f"{name}.xml", each.xml(), "network" if network else "", "DOMAIN"))
    if not found:
        raise ValueError("there is no network and no domain's NIC in it")
    return Exported(tuple(found))


def remark(text: str) -> str:
    """An XML comment."""
    return f"<!-- {re.sub('--+', '-', text)} -->"


def _document(file: str, text: str, schema: str, domain: str = "") -> Document:
    verb = {"network": "net-define", "interface": "iface-define"}.get(schema, f"attach-device {domain}")
    return Document(file, text, schema, f"virsh {verb} {file}")


def _bridges(site: Site, network: BuiltNetwork) -> Iterator[tuple[str, str]]:
    """The bridge of a network that has a NIC of the host's: libvirt's networks only name such a one."""
    name = network.link(site)
    bridge = next((each for each in site.desired.picture.of(Bridge, site.host) if each.name == name), None)
    links = site.desired.picture.of(Link, site.host)
    ports = [each for each in links if each.master == name and each.name == network.uplink]
    if bridge is None or bridge.owner != site.project or not ports:
        return
    root = ElementTree.Element("interface", {"type": "bridge", "name": libvirt_link(name)})
    ElementTree.SubElement(root, "start", {"mode": "onboot"})
    if bridge.mtu:
        ElementTree.SubElement(root, "mtu", {"size": str(bridge.mtu)})
    held = [each for each in site.desired.picture.of(Address, site.host) if each.link == name]
    for family, version in (("ipv4", 4), ("ipv6", 6)):
        addresses = [each for each in held if each.family == version]
        if addresses:
            protocol = ElementTree.SubElement(root, "protocol", {"family": family})
            for each in addresses:
                address, _, prefix = each.interface.partition("/")
                ElementTree.SubElement(protocol, "ip", {"address": address, "prefix": prefix})
    inner = ElementTree.SubElement(root, "bridge", {"stp": "on" if bridge.stp else "off", "delay": "0"})
    for port in ports:
        ElementTree.SubElement(inner, "interface", {"type": "ethernet", "name": port.name})
    ElementTree.indent(root)
    yield libvirt_link(name), ElementTree.tostring(root, "unicode") + "\n"


def _nic(site: Site, seat: Seat) -> Interface:
    network = site.file.networks[seat.nic.network]
    assert isinstance(network, BuiltNetwork)
    made, _ = network.as_libvirt(site, [])
    assert made is not None
    isolated = bool(seat.nic.port and seat.nic.port.isolated)
    model = str(_given(site, seat, "model") or "virtio")
    driver = {"name": "qemu"} if _given(site, seat, "vhost") is False else {}
    driver |= {"queues": str(seat.queues)} if seat.queues > 1 else {}
    beyond = [ElementTree.tostring(ElementTree.Element("driver", driver), "unicode")] if driver else []
    beyond += ['<link state="down" />'] if seat.nic.link_state == "down" else []
    return Interface(
        "network",
        seat.mac,
        made.name,
        portgroup=seat.nic.portgroup or "",
        model=model,
        isolated=isolated,
        mtu=seat.nic.mtu,
        beyond=tuple(beyond),
    )


def _given(site: Site, seat: Seat, key: str) -> object:
    """What the NIC says, else what its guest does, if anything."""
    instance = site.file.instance(seat.guest)
    own = getattr(seat.nic, key)
    return getattr(instance and instance.guest, key, None) if own is None else own


def _unsaid(seat: Seat) -> Iterator[str]:
    """What libvirt has no words for at a NIC."""
    port = seat.nic.port
    others = (
        [key for key in type(port).model_fields if key != "isolated" and getattr(port, key) is not None] if port else []
    )
    if others:
        yield f"port's {', '.join(others)}: libvirt knows isolated alone."
