"""libvirt's XML of networks and of domains' NICs as plain values, read and written back equal in meaning.

What stands in it is said in libvirt's pages formatnetwork and formatdomain ("Network interfaces"). What isn't known
here is kept as it stands (`beyond`) and written back, so that nothing is lost on the way. libvirt itself adds to what
it is given: a UUID, a bridge's MAC, a NIC's PCI address, `connections`. None of that is meant by anybody, so it has no
place in a `Network`; a NIC's address counts, for a guest's names for its NICs come from it.

A network bears its owner's name in `metadata`, which libvirt keeps and doesn't read; a NIC in its alias, which may be
anybody's if it begins with `ua-` (and has nothing but letters, digits, _ and - then).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from xml.etree import ElementTree

from guestwire.daemons.libvirtparts import (
    Element,
    Ip,
    Portgroup,
    Virtualport,
    Vlan,
    beyond,
    child,
    put_back,
    write_all,
)

__all__ = [
    "MARK",
    "Interface",
    "Network",
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
    delay: str = "0"
    mtu: int | None = None
    ips: tuple[Ip, ...] = ()
    virtualport: Virtualport | None = None
    vlan: Vlan | None = None
    portgroups: tuple[Portgroup, ...] = ()
    owner: str | None = None
    own: tuple[tuple[str, str], ...] = ()
    """What else there is to its bridge: a firewalld zone, who manages its table of MACs."""
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
        mode, devices, rest = ISOLATED, dict[str, None](), list[str]()
        if forward is not None:
            mode = forward.get("mode") or "nat"
            named = [forward.get("dev"), *(each.get("dev") for each in forward.iterfind("interface"))]
            devices = dict.fromkeys(filter(None, named))
            rest += [f"forward {part}" for part in beyond(forward, {"interface"})]
        given = bridge.attrib if bridge is not None else {}
        made = {"name", "uuid", "forward", "bridge", "mac", "mtu", "ip", "virtualport", "vlan", "portgroup"}
        kept = [part for part in beyond(root, made) if not (mark is not None and part.startswith("<metadata"))]
        return cls(
            root.findtext("name", "").strip(),
            mode,
            tuple(devices),
            bridge.get("name") if bridge is not None else None,
            bridge is None or bridge.get("stp") != "off",
            (bridge.get("delay") if bridge is not None else None) or "0",
            int(mtu.get("size", "0")) if mtu is not None else None,
            tuple(Ip.read(each) for each in root.iterfind("ip")),
            Virtualport.read(root),
            Vlan.read(root),
            tuple(Portgroup.read(each) for each in root.iterfind("portgroup")),
            mark.text if mark is not None else None,
            tuple(sorted((name, value) for name, value in given.items() if name not in ("name", "stp", "delay"))),
            tuple(rest + kept),
        )

    def xml(self, uuid: str | None = None) -> str:
        """The document; with the `uuid` of a network that is there it is that one's new definition."""
        root = ElementTree.Element("network")
        child(root, "name").text = self.name
        if uuid:
            child(root, "uuid").text = uuid
        if self.owner:
            child(child(root, "metadata"), f"{{{OURS}}}project").text = self.owner
        if self.mode:
            forward = child(root, "forward", mode=self.mode)
            leads = self.makes_bridge and len(self.devices) == 1
            if leads:
                forward.set("dev", self.devices[0])
            for device in () if leads else self.devices:
                child(forward, "interface", dev=device)
            put_back(forward, (part.removeprefix("forward ") for part in self.beyond if part.startswith("forward ")))
        if self.bridge:
            made = child(root, "bridge", name=self.bridge)
            if self.makes_bridge:
                made.set("stp", "on" if self.stp else "off")
                made.set("delay", self.delay)
            for name, value in self.own:
                made.set(name, value)
        if self.mtu:
            child(root, "mtu", size=str(self.mtu))
        write_all(root, self.virtualport, self.vlan)
        root.extend(group.element() for group in self.portgroups)
        for ip in self.ips:
            ip.write(root)
        put_back(root, (part for part in self.beyond if not part.startswith("forward ")))
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
            beyond(root, known),
        )

    def xml(self) -> str:
        """The document."""
        root = ElementTree.Element("interface", {"type": self.type})
        if self.trust:
            root.set("trustGuestRxFilters", "yes")
        if self.mac:
            child(root, "mac", address=self.mac)
        if self.source:
            word = {"network": "network", "bridge": "bridge"}.get(self.type, "dev")
            wanted = {"portgroup": self.portgroup or None, "mode": self.mode or None}
            child(root, "source", **{word: self.source}, **wanted)
        write_all(root, self.virtualport, self.vlan)
        if self.target:
            child(root, "target", dev=self.target, managed=None if self.managed else "no")
        if self.model:
            child(root, "model", type=self.model)
        if self.alias:
            child(root, "alias", name=self.alias)
        if self.mtu:
            child(root, "mtu", size=str(self.mtu))
        if self.isolated:
            child(root, "port", isolated="yes")
        put_back(root, self.beyond)
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


def _document(root: Element) -> str:
    ElementTree.indent(root)
    return ElementTree.tostring(root, "unicode") + "\n"
