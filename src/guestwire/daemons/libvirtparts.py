"""The pieces of which libvirt's XML of networks and NICs is made: ports' VLANs and types, port groups, addresses."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from xml.etree import ElementTree

__all__ = ["Element", "Host", "Ip", "Portgroup", "Virtualport", "Vlan", "beyond", "child", "put_back", "write_all"]

Element = ElementTree.Element


@dataclass(frozen=True)
class Virtualport:
    """How a port registers with its switch: the type (`openvswitch`, 802.1Qbg …) and what that wants to know."""

    type: str
    parameters: tuple[tuple[str, str], ...] = ()

    @classmethod
    def read(cls, parent: Element) -> Virtualport | None:
        """That below an element, or None."""
        found = parent.find("virtualport")
        if found is None:
            return None
        inner = found.find("parameters")
        return cls(found.get("type", ""), tuple(sorted(inner.items())) if inner is not None else ())

    def write(self, parent: Element) -> None:
        """Put it below an element."""
        made = child(parent, "virtualport", type=self.type)
        if self.parameters:
            child(made, "parameters", **dict(self.parameters))


@dataclass(frozen=True)
class Vlan:
    """The VLANs of a port: one that it is in untagged, or with `trunk` all that may cross tagged.

    `native` is the one among a trunk's that frames without a tag belong to.
    """

    tags: tuple[int, ...]
    trunk: bool = False
    native: int | None = None

    @classmethod
    def read(cls, parent: Element) -> Vlan | None:
        """Those below an element, or None."""
        found = parent.find("vlan")
        if found is None:
            return None
        tags = tuple(int(tag.get("id", "0")) for tag in found.iter("tag"))
        native = next((int(tag.get("id", "0")) for tag in found.iter("tag") if tag.get("nativeMode")), None)
        return cls(tags, found.get("trunk") == "yes" or len(tags) > 1, native)

    def write(self, parent: Element) -> None:
        """Put them below an element."""
        made = child(parent, "vlan", trunk="yes" if self.trunk else None)
        for tag in self.tags:
            child(made, "tag", id=str(tag), nativeMode="untagged" if tag == self.native else None)


@dataclass(frozen=True)
class Portgroup:
    """A class of ports of a network, which a NIC names."""

    name: str
    default: bool = False
    vlan: Vlan | None = None
    virtualport: Virtualport | None = None
    beyond: tuple[str, ...] = ()

    @classmethod
    def read(cls, found: Element) -> Portgroup:
        """An element's."""
        rest = beyond(found, {"vlan", "virtualport"})
        default = found.get("default") == "yes"
        return cls(found.get("name", ""), default, Vlan.read(found), Virtualport.read(found), rest)

    def text(self) -> str:
        """As an element, on one line."""
        return ElementTree.tostring(self.element(), "unicode")

    def element(self) -> Element:
        """As an element."""
        made = ElementTree.Element("portgroup", {"name": self.name})
        if self.default:
            made.set("default", "yes")
        write_all(made, self.vlan, self.virtualport)
        put_back(made, self.beyond)
        return made


@dataclass(frozen=True)
class Host:
    """An address that the network's DHCP server keeps for a NIC."""

    mac: str
    address: str
    name: str | None = None

    @property
    def six(self) -> bool:
        """Whether it is an IPv6 address: those aren't given by MAC."""
        return ":" in self.address

    def text(self) -> str:
        """As an element, on one line."""
        return ElementTree.tostring(self.element(), "unicode")

    def element(self) -> Element:
        """As an element."""
        made = ElementTree.Element("host")
        if not self.six:
            made.set("mac", self.mac)
        if self.name:
            made.set("name", self.name)
        made.set("ip", self.address)
        return made


@dataclass(frozen=True)
class Ip:
    """The address of the bridge in a subnet, and what its DHCP server gives out there."""

    address: str
    prefix: int
    ranges: tuple[tuple[str, str], ...] = ()
    hosts: tuple[Host, ...] = ()
    beyond: tuple[str, ...] = ()

    @classmethod
    def read(cls, found: Element) -> Ip:
        """An element's."""
        address, dhcp = found.get("address", ""), found.find("dhcp")
        return cls(
            address,
            int(found.get("prefix") or _length(found.get("netmask")) or (64 if ":" in address else 24)),
            tuple((each.get("start", ""), each.get("end", "")) for each in found.iterfind("dhcp/range")),
            tuple(
                Host((each.get("mac") or "").lower(), each.get("ip", ""), each.get("name"))
                for each in found.iterfind("dhcp/host")
            ),
            (*beyond(found, {"dhcp"}), *(beyond(dhcp, {"range", "host"}) if dhcp is not None else ())),
        )

    def write(self, parent: Element) -> None:
        """Put it below an element."""
        family = "ipv6" if ":" in self.address else None
        made = child(parent, "ip", family=family, address=self.address, prefix=str(self.prefix))
        if self.ranges or self.hosts:
            dhcp = child(made, "dhcp")
            for start, end in self.ranges:
                child(dhcp, "range", start=start, end=end)
            dhcp.extend(host.element() for host in self.hosts)
        put_back(made, self.beyond)


def child(parent: Element, tag: str, **attributes: str | None) -> Element:
    """A new element below another, with those of the attributes that aren't None."""
    given = {name: value for name, value in attributes.items() if value is not None}
    return ElementTree.SubElement(parent, tag, given)


def write_all(parent: Element, *parts: Virtualport | Vlan | None) -> None:
    """Put those that there are below an element."""
    for part in parts:
        if part is not None:
            part.write(parent)


def beyond(parent: Element, known: set[str]) -> tuple[str, ...]:
    """The children that aren't known here, as they stand."""
    found = [each for each in parent if each.tag not in known]
    for each in found:
        each.tail = None
    return tuple(ElementTree.canonicalize(ElementTree.tostring(each, "unicode"), strip_text=True) for each in found)


def put_back(parent: Element, parts: Iterable[str]) -> None:
    """Put what `beyond` gave below an element again."""
    parent.extend(ElementTree.fromstring(part) for part in parts)


def _length(netmask: str | None) -> int | None:
    """The prefix length of a netmask, 255.255.255.0."""
    return sum(bin(int(part)).count("1") for part in netmask.split(".")) if netmask else None
