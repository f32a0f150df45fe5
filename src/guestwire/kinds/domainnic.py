"""A NIC of a libvirt domain, and how it is plugged in: on a bridge, a macvtap, a libvirt network, or a tap of ours.

libvirt makes the host's end itself when the NIC comes to life, and ends it with it:

- type `bridge`: a tap called vnetN, which it makes a port of that bridge ("vnet0" *is* a tap). The tap's MAC is the
  guest's with fe in front, so that a bridge never takes it for its own.
- type `direct`: a macvtap called macvtapN on the parent that is named, in a mode, with the guest's MAC. The guest's
  filters are copied to it with trustGuestRxFilters, without which no IPv6 neighbour is heard.
- type `network`: as that libvirt network says, one of the two above, or a port of Open vSwitch.
- type `ethernet` with `managed='no'`: a tap that is there already, ours here, which it opens and leaves as it is.

A NIC that guestwire plugs in has an alias of its own that says whose it is (`ua-guestwire_PROJECT_…`); libvirt admits
such names and keeps them. What bears none is the domain's own and stays as it is.

A bridge that is deleted and made again has lost its ports: libvirt puts them back when it starts, guestwire at once.
Unplugging takes the guest: it is asked to let go (ACPI), which one that hasn't booted doesn't.
"""

from __future__ import annotations

import errno
import shlex
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from guestwire.daemons import libvirt
from guestwire.kinds.domain import answering, apart, called
from guestwire.kinds.thing import Thing
from guestwire.linux.kernel import Kernel
from guestwire.linux.netlink import u32
from guestwire.linux.rtnetlink import IFLA_MASTER, read_link
from guestwire.picture import Key, Value, fact, fixed, passing, setting

if TYPE_CHECKING:
    from guestwire.daemons.libvirtxml import Interface

__all__ = ["DomainNic"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class DomainNic(Thing):
    """A NIC, called DOMAIN/MAC. `type` and `source` are what it is plugged into.

    `live` says whether the running domain has it, `config` whether its definition has, `plugged` whether its end on the
    host leads where it shall. `link` is that end's name.
    """

    KIND: ClassVar[str] = "domain nic"
    RANK: ClassVar[int] = 75
    NAMED: ClassVar[bool] = True
    OUTLASTS: ClassVar[bool] = True
    ASKED: ClassVar[bool] = True
    COPIED: ClassVar[bool] = False

    type: str | None = fixed()
    source: str | None = fixed()
    mode: str | None = fixed()
    portgroup: str | None = fixed()
    model: str | None = fixed()
    isolated: bool | None = fixed()
    mtu: int | None = fixed()
    live: bool | None = setting()
    config: bool | None = setting()
    plugged: bool | None = setting()
    bridge: str | None = fact()
    """The bridge that its end is a port of, where a network says which."""
    addresses: tuple[str, ...] = passing(())
    link: str = fact("")

    @classmethod
    def on(cls, netns: str, uri: str, domain: str, mac: str, **more: Any) -> DomainNic:
        """The NIC of that MAC in a domain."""
        return cls(netns=netns, name=f"{called(uri, domain)}/{mac}", **more)

    @property
    def domain(self) -> str:
        """The domain's name, as libvirt has it."""
        return self._whose[1]

    @property
    def mac(self) -> str:
        """Its MAC."""
        return self.name.rpartition("/")[2]

    @property
    def uri(self) -> str:
        """The connection that the domain is found by."""
        return self._whose[0]

    @property
    def _whose(self) -> tuple[str, str]:
        return apart(self.name.rpartition("/")[0])

    # What is there

    @classmethod
    def read_all(cls, kernel: Kernel, keys: Iterable[Key] | None, netns: str = "") -> Iterator[DomainNic]:
        """Those that have such a key; with None those of all domains, as of the host `netns`.

        Raises Unavailable where libvirt is to be asked and doesn't answer.
        """
        for uri, there, asked in answering(kernel, keys):
            for domain in there.domains() if asked is None else ():
                yield from cls._of(kernel, netns, uri, there, domain)
            by_domain: dict[tuple[str, str], set[Key]] = {}
            for key in asked or ():
                by_domain.setdefault((key.netns, apart(key.name.rpartition("/")[0])[1]), set()).add(key)
            for (place, name), wanted in by_domain.items():
                found = there.domain(name)
                if found is not None:
                    yield from (nic for nic in cls._of(kernel, place, uri, there, found) if nic.key in wanted)

    @classmethod
    def _of(
        cls, kernel: Kernel, netns: str, uri: str, there: libvirt.Libvirt, domain: libvirt.Domain
    ) -> Iterator[DomainNic]:
        live = {each.mac: each for each in domain.live}
        config = {each.mac: each for each in domain.config}
        for mac in {**live, **config}:
            nic = live.get(mac) or config[mac]
            bridge = _bridge(there, nic) if mac in live else None
            yield cls.on(
                netns,
                uri,
                domain.name,
                mac,
                owner=nic.owner or (config[mac].owner if mac in config else None),
                type=nic.type,
                source=nic.target if nic.type == "ethernet" else nic.source,
                mode=nic.mode,
                portgroup=nic.portgroup,
                model=nic.model,
                isolated=nic.isolated,
                mtu=nic.mtu,
                live=mac in live,
                config=mac in config,
                plugged=_is_plugged(kernel, netns, live[mac], bridge) if mac in live else None,
                bridge=bridge,
                link=live[mac].target if mac in live else "",
            )

    def told(self) -> dict[str, Any]:
        """What it is, as JSON knows it."""
        device = "macvtap" if self.type == "direct" or self.link.startswith("macvtap") else "tap"
        return {
            "mac": self.mac,
            "device": device,
            "model": self.model or None,
            "host_link": self.link or None,
            "live": self.live,
            "config": self.config,
            "plugged": self.plugged,
        }

    # Plugging in

    def _interface(self) -> Interface:
        from guestwire.daemons.libvirtxml import MARK, Interface

        ours = self.type == "ethernet"
        return Interface(
            self.type or "",
            self.mac,
            "" if ours else self.source or "",
            self.mode or "",
            self.portgroup or "",
            self.source or "" if ours else "",
            not ours,
            self.model or "",
            f"{MARK}{self.owner}_{self.mac.replace(':', '')}" if self.owner else "",
            bool(self.isolated),
            self.mtu,
            self.type == "direct" and self.model == "virtio",
        )

    def create(self, kernel: Kernel) -> None:
        kernel.flush()
        libvirt.connect(self.uri).attach(self.domain, self._interface(), live=bool(self.live), config=bool(self.config))

    def change(self, kernel: Kernel, seen: Value) -> None:
        assert isinstance(seen, DomainNic)
        kernel.flush()
        there, nic = libvirt.connect(self.uri), self._interface()
        stale = self.live and seen.live and self.plugged and not seen.plugged
        if stale and self._put_back(kernel, seen):
            stale = False
        away = (bool(self.live is False and seen.live) or bool(stale), bool(self.config is False and seen.config))
        come = (bool(self.live and not seen.live) or bool(stale), bool(self.config and not seen.config))
        if any(away):
            there.detach(self.domain, nic, live=away[0], config=away[1])
        if any(come):
            there.attach(self.domain, nic, live=come[0], config=come[1])

    def _put_back(self, kernel: Kernel, seen: DomainNic) -> bool:
        """Make its tap a port of its bridge again, as libvirtd does when it starts; False where it has no tap there."""
        bridge = self.source if self.type == "bridge" else seen.bridge
        if not bridge or read_link(kernel.socket(self.netns), seen.link) is None:
            return False
        kernel.forget(self.netns, bridge)
        master = u32(IFLA_MASTER, kernel.index(self.netns, bridge))
        kernel.forget(self.netns, seen.link)  # libvirt makes its taps anew, under the same names
        kernel.adjust(self.netns, seen.link, master)
        return True

    def delete(self, kernel: Kernel) -> None:
        kernel.flush()
        there = libvirt.connect(self.uri)
        found = there.domain(self.domain)
        if found is None:
            return
        live = any(each.mac == self.mac for each in found.live)
        config = any(each.mac == self.mac for each in found.config)
        there.detach(self.domain, self._interface(), live=live, config=config)

    def why_refused(self, number: int) -> str | None:
        if number == errno.ETIMEDOUT:
            return "A guest lets go of a NIC once it has booted: try again then, or shut the domain down first."
        return None

    def namespaces(self) -> tuple[str, ...]:
        return ()

    # In words

    def _virsh(self, verb: str, *, live: bool | None, config: bool | None) -> str:
        where = [*(["--live"] if live else []), *(["--config"] if config else [])]
        connection = ["-c", self.uri] if self.uri != libvirt.SYSTEM else []
        words = shlex.join(["virsh", *connection, verb, self.domain, "/dev/stdin", *where])
        return f"{words} <<'END'\n{self._interface().xml()}END"

    def create_commands(self) -> list[str]:
        return [self._virsh("attach-device", live=self.live, config=self.config)]

    def change_commands(self, seen: Value) -> list[str]:
        assert isinstance(seen, DomainNic)
        bridge = self.source if self.type == "bridge" else seen.bridge
        if self.live and seen.live and self.plugged and not seen.plugged and bridge and seen.link:
            where = ["-n", self.netns] if self.netns else []
            return [shlex.join(["ip", *where, "link", "set", "dev", seen.link, "master", bridge])]
        live, config = self.live and not seen.live, self.config and not seen.config
        return [self._virsh("attach-device", live=live, config=config)]

    def delete_commands(self) -> list[str]:
        return [self._virsh("detach-device", live=self.live, config=self.config)]


def _bridge(there: libvirt.Libvirt, nic: Interface) -> str | None:
    """The bridge that a NIC's tap is to be a port of; of Open vSwitch's ports nothing can be said by their master."""
    if nic.type == "bridge":
        return nic.source if nic.virtualport is None else None
    if nic.type != "network" or not nic.source:
        return None
    found = there.network(nic.source)
    return found.bridge if found is not None and found.network.virtualport is None else None


def _is_plugged(kernel: Kernel, netns: str, nic: Interface, bridge: str | None) -> bool:
    """Whether the host's end of a NIC is there and leads where it shall; a tap that nobody holds has no carrier."""
    sock = kernel.socket(netns)
    link = read_link(sock, nic.target) if nic.target else None
    if link is None:
        return False
    if bridge is not None:
        master = read_link(sock, bridge)
        return master is not None and link.master == master.ifindex
    return nic.type != "ethernet" or link.carrier
