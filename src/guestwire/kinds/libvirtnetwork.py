"""A network of libvirt's: a name that domains' NICs are plugged into, and what libvirt keeps for it.

What a network is its *forward mode* says (libvirt's page formatnetwork):

- none (*isolated*), `nat`, `route`, `open`: libvirt makes a bridge, gives it the address, and runs a dnsmasq on it that
  answers DHCP and DNS. They differ in the firewall rules alone: `nat` masquerades, `route` passes on but admits nobody
  from elsewhere who isn't routed there, `open` sets no rules, isolated lets nothing out.
- `bridge` with a bridge: that is there already, a Linux one or Open vSwitch's, and libvirt makes taps its ports.
- `bridge`, `vepa`, `private`, `passthrough` with NICs: each domain's NIC is a macvtap in that mode on one of them.

A network is defined (/etc/libvirt/qemu/networks) and then started. Its bridge's name must be free then.
Of a network that is started virNetworkUpdate changes some parts in place, DHCP's hosts and port groups among them; all
else takes stopping and starting it, which ends its bridge: its ports fall off, and libvirt doesn't put them back.
guestwire does, in the same breath.

The mark is an element of ours in the definition's metadata, which libvirt keeps.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from ipaddress import ip_interface
from typing import TYPE_CHECKING, ClassVar

from guestwire.daemons import libvirt
from guestwire.daemons.libvirtrules import delete_rules
from guestwire.kinds.domain import answering, apart, called
from guestwire.kinds.pidfile import end, says
from guestwire.kinds.thing import Thing
from guestwire.linux.kernel import Kernel
from guestwire.linux.netlink import u32
from guestwire.linux.rtnetlink import IFLA_MASTER, dump_links, read_link
from guestwire.picture import Key, Value, fact, setting

if TYPE_CHECKING:
    from guestwire.daemons.libvirtparts import Ip
    from guestwire.daemons.libvirtxml import Network

__all__ = ["LibvirtNetwork"]

USUAL_PORTS = '<port end="65535" start="1024"></port>'
"""What libvirt adds to a network with NAT by itself."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class LibvirtNetwork(Thing):
    """A network. `definition` is its XML without what libvirt adds by itself; `active` whether it is started; `bridge`
    the one that its guests are ports of."""

    KIND: ClassVar[str] = "libvirt network"
    RANK: ClassVar[int] = 5
    NAMED: ClassVar[bool] = True
    ASKED: ClassVar[bool] = True
    COPIED: ClassVar[bool] = False

    definition: str | None = setting()
    active: bool | None = setting()
    bridge: str | None = fact()

    @classmethod
    def of(
        cls, netns: str, uri: str, network: Network, *, active: bool = True, bridge: str | None = None
    ) -> LibvirtNetwork:
        """A network as a value."""
        plain = (part.replace(USUAL_PORTS, "") for part in network.beyond)
        kept = tuple(part for part in plain if part != "forward <nat></nat>")
        return cls(
            netns=netns,
            name=called(uri, network.name),
            owner=network.owner,
            definition=replace(network, beyond=kept).xml(),
            active=active,
            bridge=bridge or network.bridge,
        )

    @classmethod
    def read_all(cls, kernel: Kernel, keys: Iterable[Key] | None, netns: str = "") -> Iterator[LibvirtNetwork]:
        """Those that have such a key; with None all there are, as of the host `netns`.

        Raises Unavailable where libvirt is to be asked and doesn't answer.
        """
        for uri, there, asked in answering(kernel, keys):
            for found in there.networks() if asked is None else ():
                yield cls.of(netns, uri, found.network, active=found.active, bridge=found.bridge)
            for key in asked or ():
                one = there.network(apart(key.name)[1])
                if one is not None:
                    yield cls.of(key.netns, uri, one.network, active=one.active, bridge=one.bridge)

    @property
    def network(self) -> Network:
        """What its definition says."""
        from guestwire.daemons.libvirtxml import parse_network

        return parse_network(self.definition or "<network/>")

    @property
    def _there(self) -> libvirt.Libvirt:
        return libvirt.connect(apart(self.name)[0])

    @property
    def _own_name(self) -> str:
        return apart(self.name)[1]

    def create(self, kernel: Kernel) -> None:
        kernel.flush()
        self._there.define(self.network)
        if self.active:
            self._there.start(self._own_name)

    def change(self, kernel: Kernel, seen: Value) -> None:
        assert isinstance(seen, LibvirtNetwork)
        kernel.flush()
        there, name = self._there, self._own_name
        if self.definition is not None and self.definition != seen.definition:
            parts = _parts(seen.network, self.network)
            if parts is not None:
                for command, section, place, xml in parts:
                    there.update(name, command, section, place, xml)
            else:
                self._define_anew(kernel, seen)
        active = there.network(name)
        if self.active is not None and active is not None and active.active != self.active:
            if self.active:
                self._sweep(kernel, active)
            (there.start if self.active else there.stop)(name)

    def _define_anew(self, kernel: Kernel, seen: LibvirtNetwork) -> None:
        """Define it anew, and stop and start it; what were ports of its bridge are so again."""
        there, name = self._there, self._own_name
        ports = _ports(kernel, self.netns, seen.bridge) if seen.active and seen.network.makes_bridge else []
        there.define(self.network)
        if not seen.active:
            return
        there.stop(name)
        if not self.active:
            return
        there.start(name)
        bridge = self.network.bridge
        if not bridge or not self.network.makes_bridge:
            return
        kernel.forget(self.netns, bridge)
        for port in ports:
            master = u32(IFLA_MASTER, kernel.index(self.netns, bridge))
            kernel.forget(self.netns, port)
            kernel.adjust(self.netns, port, master)

    def delete(self, kernel: Kernel) -> None:
        kernel.flush()
        found = self._there.network(self._own_name)
        if found is None:
            return
        if found.active:
            self._there.stop(self._own_name)
        else:
            self._sweep(kernel, found)
        self._there.undefine(self._own_name)

    def _sweep(self, kernel: Kernel, found: libvirt.Found) -> None:
        """Take away what a libvirtd that was killed while it started the network has left of it, and knows no more.

        Its bridge is known by the MAC that the definition has, its dnsmasq by the file that it was started with, its
        firewall rules by bridge and subnets.
        """
        link = read_link(kernel.socket(self.netns), found.bridge) if found.bridge else None
        if link is None or not found.network.makes_bridge or link.mac != found.mac:
            return
        file = f"{libvirt.SERVERS}/{self._own_name}.conf"
        for pid in kernel.running(self.netns, file):
            end(pid, says(file))
        subnets = {str(ip_interface(f"{ip.address}/{ip.prefix}").network) for ip in found.network.ips}
        kernel.call(self.netns, lambda: delete_rules(link.name, subnets))
        kernel.forget(self.netns, link.name)
        kernel.doom(self.netns, link.name)
        kernel.flush()

    def consequence(self, seen: LibvirtNetwork) -> str | None:
        """What making `seen` into this means for who is plugged in; None where nothing."""
        if not seen.active or self.definition == seen.definition:
            return None
        if _parts(seen.network, self.network) is None:
            return "it is stopped and started, and its guests hear nothing for that moment"
        groups = {group.name: group for group in self.network.portgroups}
        if any(groups.get(group.name, group) != group for group in seen.network.portgroups):
            return "ports that are plugged in keep what their port group was until they are plugged in anew"
        return None

    def namespaces(self) -> tuple[str, ...]:
        return ()

    def _virsh(self, *words: str) -> str:
        uri = apart(self.name)[0]
        return shlex.join(["virsh", *(["-c", uri] if uri != libvirt.SYSTEM else []), *words])

    def create_commands(self) -> list[str]:
        define = f"{self._virsh('net-define', '/dev/stdin')} <<'END'\n{self.definition}END"
        return [define, *([self._virsh("net-start", self._own_name)] if self.active else [])]

    def change_commands(self, seen: Value) -> list[str]:
        assert isinstance(seen, LibvirtNetwork)
        found = []
        active = seen.active
        if self.definition is not None and self.definition != seen.definition:
            parts = _parts(seen.network, self.network)
            live = ["--live"] if active else []
            for command, section, place, xml in parts or ():
                where = ["--parent-index", str(place)] if place >= 0 else []
                words = ["net-update", self._own_name, command, section, xml, *where, "--config", *live]
                found.append(self._virsh(*words))
            if parts is None:
                uuid = f"$({self._virsh('net-uuid', self._own_name)})"
                found.append(f"{self._virsh('net-define', '/dev/stdin')} <<END\n{self.network.xml(uuid)}END")
                if active:
                    found.append(self._virsh("net-destroy", self._own_name))
                    active = False
        if self.active is not None and active != self.active:
            found.append(self._virsh("net-start" if self.active else "net-destroy", self._own_name))
        return found

    def delete_commands(self) -> list[str]:
        stop = [self._virsh("net-destroy", self._own_name)] if self.active else []
        return [*stop, self._virsh("net-undefine", self._own_name)]


Update = tuple[str, str, int, str]
"""A command, its section, which of several it is in (-1 where there is one), and the element."""


def _parts(old: Network, new: Network) -> list[Update] | None:
    """The updates that make one network into another in place; None where more than hosts and port groups differs."""
    if _rest(old) != _rest(new):
        return None
    found: list[Update] = []
    for place, (before, after) in enumerate(zip(old.ips, new.ips, strict=True)):
        found += _hosts(place, before, after)
    groups = {group.name: group for group in new.portgroups}
    had = {group.name: group for group in old.portgroups}
    found += [("delete", "portgroup", -1, had[name].text()) for name in had if name not in groups]
    for name, group in groups.items():
        if had.get(name) != group:
            found.append(("modify" if name in had else "add", "portgroup", -1, group.text()))
    return found


def _rest(network: Network) -> Network:
    """A network without what can be changed in place."""
    return replace(network, portgroups=(), ips=tuple(replace(ip, hosts=()) for ip in network.ips))


def _hosts(place: int, before: Ip, after: Ip) -> Iterator[Update]:
    for host in before.hosts:
        if host not in after.hosts:
            yield "delete", "ip-dhcp-host", place, host.text()
    for host in after.hosts:
        if host not in before.hosts:
            yield "add", "ip-dhcp-host", place, host.text()


def _ports(kernel: Kernel, netns: str, bridge: str | None) -> list[str]:
    """The links that are ports of a bridge."""
    links = dump_links(kernel.socket(netns))
    index = next((link.ifindex for link in links if link.name == bridge), None)
    return [link.name for link in links if index is not None and link.master == index]
