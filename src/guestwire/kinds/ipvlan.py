"""ipvlan: a link with addresses of its own that shares its parent NIC's cable, and the parent's MAC.

A frame that arrives is handed to the child that has its IP address, by the driver's own table (drivers/net/ipvlan). So
a switch that admits one MAC, or a Wi-Fi access point, sees one. The mode and the flag are the parent's: all children on
one NIC have the same, and setting those of one sets them for all (ipvlan_set_port_mode).

- `l2`: a child speaks ARP and NDP itself, as on the LAN; broadcast reaches the others, and the LAN.
- `l3`: its packets go by the routes of the parent's namespace. No ARP, no NDP, no broadcast, no multicast: a child's
  routes lead out of its link and name no gateway, and whoever wants to reach it needs a route by way of the host.
- `l3s`: the same, and the packets pass the host's netfilter both ways.

With the flag `bridge` children reach one another inside; `private`: never; `vepa`: what they say goes out to the
switch. Child and parent never hear each other: the host can't reach its own guests so, nor they it.

Limits: a NIC that has a macvlan or is a bridge's port can't be a parent (one rx_handler a NIC: EBUSY). An address can
be on one child of a parent only (EADDRINUSE). A DHCP server tells its clients by their MAC, and answers to one: so
these have fixed addresses. A virtual machine needs a descriptor, which an ipvlan hasn't got; the kernel has ipvtap for
that (ipvtap.c), which guestwire doesn't make.
"""

from __future__ import annotations

import errno
import struct
from dataclasses import dataclass
from typing import ClassVar

from guestwire.kinds.child import Child
from guestwire.kinds.link import Seen
from guestwire.kinds.thing import ip
from guestwire.linux.kernel import Kernel
from guestwire.linux.netlink import attributes, nested, text, u16
from guestwire.linux.rtnetlink import IFLA_INFO_DATA, IFLA_INFO_KIND, IFLA_LINKINFO
from guestwire.picture import Value, fixed, setting

__all__ = ["Ipvlan"]

MODES = {"l2": 0, "l3": 1, "l3s": 2}
FLAGS = {"bridge": 0, "private": 1, "vepa": 2}
_MODES, _FLAGS = ({number: name for name, number in names.items()} for names in (MODES, FLAGS))
IFLA_IPVLAN_MODE, IFLA_IPVLAN_FLAGS = 1, 2
_NUMBER = struct.Struct("=H")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Ipvlan(Child):
    """An ipvlan; `flag` says whom of its siblings it reaches."""

    KIND: ClassVar[str] = "ipvlan"
    RANK: ClassVar[int] = 22
    LINK_KINDS: ClassVar[tuple[str, ...]] = ("ipvlan",)

    device: str = fixed("ipvlan")
    mode: str | None = setting("l2")
    flag: str | None = setting("bridge")

    @classmethod
    def parse(cls, seen: Seen) -> Ipvlan:
        found = attributes(seen.message.data)
        mode, flag = (
            _NUMBER.unpack(found[kind])[0] if kind in found else 0 for kind in (IFLA_IPVLAN_MODE, IFLA_IPVLAN_FLAGS)
        )
        return cls(**seen.common(), parent=seen.beyond, mode=_MODES.get(mode), flag=_FLAGS.get(flag))

    def create(self, kernel: Kernel) -> None:
        self.beget(kernel, self._data(), *self.own(kernel))

    def finish(self, kernel: Kernel) -> None:
        self.settle(kernel)

    def change(self, kernel: Kernel, seen: Value) -> None:
        if not {"mode", "flag"}.isdisjoint(self.differs(seen)):
            info = nested(IFLA_LINKINFO, text(IFLA_INFO_KIND, "ipvlan"), nested(IFLA_INFO_DATA, self._data()))
            kernel.adjust(self.netns, self.name, info)
        super(Ipvlan, self).change(kernel, seen)

    def why_refused(self, number: int) -> str | None:
        if number != errno.EBUSY or self.parent is None:
            return super(Ipvlan, self).why_refused(number)
        return f"A NIC gives its frames to one taker only, and {self.parent[1]} has a macvlan or is a bridge's port."

    def label(self) -> str:
        return f"ipvlan {self.mode}" + (f" {self.flag}" if self.flag != "bridge" else "")

    def _data(self) -> bytes:
        return u16(IFLA_IPVLAN_MODE, MODES[self.mode or "l2"]) + u16(IFLA_IPVLAN_FLAGS, FLAGS[self.flag or "bridge"])

    def create_commands(self) -> list[str]:
        return [self.beget_command("mode", self.mode, self.flag)]

    def finish_commands(self) -> list[str]:
        return self.settle_commands()

    def change_commands(self, seen: Value) -> list[str]:
        found = super(Ipvlan, self).change_commands(seen)
        if not {"mode", "flag"}.isdisjoint(self.differs(seen)):
            words = ("type", "ipvlan", "mode", self.mode, self.flag)
            found.insert(0, ip(self.netns, "link", "set", "dev", self.name, *words))
        return found
