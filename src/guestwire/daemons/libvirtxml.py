"""libvirt's XML of networks and of domains' NICs as plain values, read and written back equal in meaning.

What stands in it is said in libvirt's pages formatnetwork and formatdomain ("Network interfaces"). What isn't known
here is kept as it stands (`beyond`) and written back, so that nothing is lost on the way. libvirt itself adds to what
it is given: a UUID, a bridge's MAC, a NIC's PCI address, `connections`. None of that is meant by anybody, so it has no
place in a `Network`; a NIC's address counts, for a guest's names for its NICs come from it.

A network bears its owner's name in `metadata`, which libvirt keeps and doesn't read; a NIC in its alias, which may be
anybody's if it begins with `ua-` (and has nothing but letters, digits, _ and - then).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from xml.etree import ElementTree

__all__ = [
    "MARK",
    "Host",
    "Interface",
    "Ip",
    "Network",
    "Portgroup",
    "Virtualport",
    "Vlan",
    "documents",
    "interfaces",
    "parse_network",
]

OURS = "urn:guestwire:project"
"""The XML namespace of the element that says whose a network is."""
MARK = "ua-guestwire_"
ISOLATED = ""
"""The forward mode of a network that leads nowhere: it has no element `forward`."""

ElementTree.register_namespace("guestwire", OURS)
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
        made = _child(parent, "virtualport", type=self.type)
        if self.parameters:
            _child(made, "parameters", **dict(self.parameters))


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
        made = _child(parent, "vlan", trunk="yes" if self.trunk else None)
        for tag in self.tags:
            _child(made, "tag", id=str(tag), nativeMode="untagged" if tag == self.native else None)


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
        beyond = _beyond(found, {"vlan", "virtualport"})
        default = found.get("default") == "yes"
        return cls(found.get("name", ""), default, Vlan.read(found), Virtualport.read(found), beyond)

    def text(self) -> str:
        """As an element, on one line."""
        return ElementTree.tostring(self.element(), "unicode")

    def element(self) -> Element:
        """As an element."""
        made = ElementTree.Element("portgroup", {"name": self.name})
        if self.default:
            made.set("default", "yes")
        _write(made, self.vlan, self.virtualport)
        _put_back(made, self.beyond)
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
            (*_beyond(found, {"dhcp"}), *(_beyond(dhcp, {"range", "host"}) if dhcp is not None else ())),
        )

    def write(self, parent: Element) -> None:
        """Put it below an element."""
        family = "ipv6" if ":" in self.address else None
        made = _child(parent, "ip", family=family, address=self.address, prefix=str(self.prefix))
        if self.ranges or self.hosts:
            dhcp = _child(made, "dhcp")
            for start, end in self.ranges:
                _child(dhcp, "range", start=start, end=end)
            dhcp.extend(host.element() for host in self.hosts)
        _put_back(made, self.beyond)


@dataclass(frozen=True)
class Network:
    """A network of libvirt's: `mode` is its forward mode, "" of one that leads nowhere; `devices` are the host's links
    that it leads out by, or the parents of its macvtaps; `bridge` its bridge, made by libvirt unless `mode` is bridge.
    """

    name: str
    mode: str = ISOLATED
    devices: tuple[str, ...] = ()
    bridge: str | None = None
    stp: bool = True
    mtu: int | None = None
    ips: tuple[Ip, ...] = ()
    virtualport: Virtualport | None = None
    vlan: Vlan | None = None
    portgroups: tuple[Portgroup, ...] = ()
    owner: str | None = None
    beyond: tuple[str, ...] = ()

    @property
    def makes_bridge(self) -> bool:
        """Whether libvirt makes the bridge when the network starts, and ends it with it."""
        return self.mode in (ISOLATED, "nat", "route", "open")

    @classmethod
    def read(cls, root: Element) -> Network:
        """An element's."""
        forward, bridge, mtu = root.find("forward"), root.find("bridge"), root.find("mtu")
        mark = root.find(f"metadata/{{{OURS}}}project")
        mode, devices, beyond = ISOLATED, dict[str, None](), list[str]()
        if forward is not None:
            mode = forward.get("mode") or "nat"
            named = [forward.get("dev"), *(each.get("dev") for each in forward.iterfind("interface"))]
            devices = dict.fromkeys(filter(None, named))
            beyond += [f"forward {part}" for part in _beyond(forward, {"interface"})]
        made = {"name", "uuid", "forward", "bridge", "mac", "mtu", "ip", "virtualport", "vlan", "portgroup"}
        kept = [part for part in _beyond(root, made) if not (mark is not None and part.startswith("<metadata"))]
        return cls(
            root.findtext("name", "").strip(),
            mode,
            tuple(devices),
            bridge.get("name") if bridge is not None else None,
            bridge is None or bridge.get("stp") != "off",
            int(mtu.get("size", "0")) if mtu is not None else None,
            tuple(Ip.read(each) for each in root.iterfind("ip")),
            Virtualport.read(root),
            Vlan.read(root),
            tuple(Portgroup.read(each) for each in root.iterfind("portgroup")),
            mark.text if mark is not None else None,
            tuple(beyond + kept),
        )

    def xml(self, uuid: str | None = None) -> str:
        """The document; with the `uuid` of a network that is there it is that one's new definition."""
        root = ElementTree.Element("network")
        _child(root, "name").text = self.name
        if uuid:
            _child(root, "uuid").text = uuid
        if self.owner:
            _child(_child(root, "metadata"), f"{{{OURS}}}project").text = self.owner
        if self.mode:
            forward = _child(root, "forward", mode=self.mode)
            leads = self.makes_bridge and len(self.devices) == 1
            if leads:
                forward.set("dev", self.devices[0])
            for device in () if leads else self.devices:
                _child(forward, "interface", dev=device)
            _put_back(forward, (part.removeprefix("forward ") for part in self.beyond if part.startswith("forward ")))
        if self.bridge:
            made = _child(root, "bridge", name=self.bridge)
            if self.makes_bridge:
                made.set("stp", "on" if self.stp else "off")
                made.set("delay", "0")
        if self.mtu:
            _child(root, "mtu", size=str(self.mtu))
        _write(root, self.virtualport, self.vlan)
        root.extend(group.element() for group in self.portgroups)
        for ip in self.ips:
            ip.write(root)
        _put_back(root, (part for part in self.beyond if not part.startswith("forward ")))
        return _document(root)


@dataclass(frozen=True)
class Interface:
    """A domain's NIC.

    `type` is what it is plugged in by: bridge, direct (a macvtap), network, ethernet (a tap by name) or another;
    `source` names the bridge, the macvtap's parent or the network. `target` is the host's link that it is.
    """

    type: str
    mac: str
    source: str = ""
    mode: str = ""
    portgroup: str = ""
    target: str = ""
    managed: bool = True
    model: str = ""
    alias: str = ""
    isolated: bool = False
    mtu: int | None = None
    trust: bool = False
    """Whether the host's end follows the guest's own filters (trustGuestRxFilters), as IPv6 on a macvtap needs."""
    virtualport: Virtualport | None = None
    vlan: Vlan | None = None
    beyond: tuple[str, ...] = ()

    @property
    def owner(self) -> str | None:
        """The project whose mark is in the alias, or None."""
        return self.alias.removeprefix(MARK).partition("_")[0] if self.alias.startswith(MARK) else None

    @classmethod
    def read(cls, root: Element) -> Interface:
        """An element's."""
        mac, source, target = root.find("mac"), root.find("source"), root.find("target")
        model, alias, mtu, port = root.find("model"), root.find("alias"), root.find("mtu"), root.find("port")
        given = source.attrib if source is not None else {}
        plugged = given.get("network") is not None  # then a running domain has what the network made of it besides
        known = {"mac", "source", "target", "model", "alias", "mtu", "virtualport", "vlan"}
        if root.get("type") not in ("bridge", "direct", "ethernet", "network"):
            known -= {"source"}
            given = {}
        known |= {"port"} if port is not None and set(port.attrib) <= {"isolated"} else set()
        return cls(
            "network" if plugged else root.get("type", ""),
            (mac.get("address", "") if mac is not None else "").lower(),
            given.get("network") or given.get("bridge") or given.get("dev") or "",
            "" if plugged else given.get("mode", ""),
            given.get("portgroup", ""),
            target.get("dev", "") if target is not None else "",
            target is None or target.get("managed") != "no",
            model.get("type", "") if model is not None else "",
            alias.get("name", "") if alias is not None else "",
            port is not None and port.get("isolated") == "yes",
            int(mtu.get("size", "0")) if mtu is not None else None,
            root.get("trustGuestRxFilters") == "yes",
            Virtualport.read(root),
            Vlan.read(root),
            _beyond(root, known),
        )

    def xml(self) -> str:
        """The document."""
        root = ElementTree.Element("interface", {"type": self.type})
        if self.trust:
            root.set("trustGuestRxFilters", "yes")
        if self.mac:
            _child(root, "mac", address=self.mac)
        if self.source:
            word = {"network": "network", "bridge": "bridge"}.get(self.type, "dev")
            wanted = {"portgroup": self.portgroup or None, "mode": self.mode or None}
            _child(root, "source", **{word: self.source}, **wanted)
        _write(root, self.virtualport, self.vlan)
        if self.target:
            _child(root, "target", dev=self.target, managed=None if self.managed else "no")
        if self.model:
            _child(root, "model", type=self.model)
        if self.alias:
            _child(root, "alias", name=self.alias)
        if self.mtu:
            _child(root, "mtu", size=str(self.mtu))
        if self.isolated:
            _child(root, "port", isolated="yes")
        _put_back(root, self.beyond)
        return _document(root)


def parse_network(text: str) -> Network:
    """The network of a document. Raises ValueError where it isn't one."""
    found = next(iter(documents(text)), None)
    if not isinstance(found, Network):
        raise ValueError("no libvirt network")
    return found


def documents(text: str) -> Iterator[Network | Interface]:
    """The networks, and domains' NICs, that a text holds, in order: whole documents, several, or what surrounds them.

    Raises ValueError, with line and column, where it is no XML.
    """
    body = text.partition("?>")[2] if text.lstrip().startswith("<?xml") else text
    try:
        root = ElementTree.fromstring(f"<all>{body}</all>")
    except ElementTree.ParseError as error:
        raise ValueError(str(error)) from None
    for found in root.iter():
        if found.tag == "network":
            yield Network.read(found)
        elif found.tag == "interface" and found.get("type") and found.get("name") is None:
            yield Interface.read(found)


def interfaces(xml: str) -> tuple[Interface, ...]:
    """The NICs of a domain's document."""
    return tuple(Interface.read(found) for found in ElementTree.fromstring(xml).iterfind("devices/interface"))


def _child(parent: Element, tag: str, **attributes: str | None) -> Element:
    given = {name: value for name, value in attributes.items() if value is not None}
    return ElementTree.SubElement(parent, tag, given)


def _write(parent: Element, *parts: Virtualport | Vlan | None) -> None:
    for part in parts:
        if part is not None:
            part.write(parent)


def _beyond(parent: Element, known: set[str]) -> tuple[str, ...]:
    """The children that aren't known here, as they stand."""
    found = [each for each in parent if each.tag not in known]
    for each in found:
        each.tail = None
    return tuple(ElementTree.canonicalize(ElementTree.tostring(each, "unicode"), strip_text=True) for each in found)


def _put_back(parent: Element, parts: Iterable[str]) -> None:
    parent.extend(ElementTree.fromstring(part) for part in parts)


def _document(root: Element) -> str:
    ElementTree.indent(root)
    return ElementTree.tostring(root, "unicode") + "\n"


def _length(netmask: str | None) -> int | None:
    """The prefix length of a netmask, 255.255.255.0."""
    return sum(bin(int(part)).count("1") for part in netmask.split(".")) if netmask else None
