"""A Linux bridge: a switch inside the kernel, with the host itself plugged into it through the bridge's own link.

Frames that arrive on a port are looked up by destination MAC in the forwarding table and leave through that port, or
through all ports while the address is unknown. An address on the bridge link is the host's own address on that segment;
an address on a *port* is dead, since the bridge takes every frame that the port receives (net/bridge/br_input.c).

Limits: 1,023 ports (net/bridge/br_private.h, BR_PORT_BITS); no bridge as a port, no lo, no TUN (br_add_if); a link can
be the port of one bridge only. Left to itself a bridge takes the lowest MAC of its ports and changes it as they come
and go, so guestwire always sets one; its MTU follows the least of its ports until somebody sets it. With STP on, a new
port forwards only after two forward delays (15 s each): DHCP gives up before that. It is off here.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import ClassVar

from guestwire.kinds.link import Link, Seen
from guestwire.kinds.thing import ip
from guestwire.linux.kernel import Kernel
from guestwire.linux.netlink import attributes, nested, text, u32
from guestwire.linux.rtnetlink import IFLA_IFNAME, IFLA_INFO_DATA, IFLA_INFO_KIND, IFLA_LINKINFO, create_link, set_link
from guestwire.picture import Value, setting

__all__ = ["MOST_PORTS", "Bridge"]

MOST_PORTS = 1023
IFLA_BR_STP_STATE, IFLA_BR_VLAN_FILTERING = 5, 7


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Bridge(Link):
    """A bridge; `stp` says whether it speaks the spanning tree protocol."""

    KIND: ClassVar[str] = "bridge"
    RANK: ClassVar[int] = 10
    LINK_KINDS: ClassVar[tuple[str, ...]] = ("bridge",)

    stp: bool | None = setting(False)

    @classmethod
    def parse(cls, seen: Seen) -> Bridge:
        stp = attributes(seen.message.data).get(IFLA_BR_STP_STATE)
        return cls(**seen.common(), stp=bool(stp and struct.unpack("=I", stp)[0]))

    def create(self, kernel: Kernel) -> None:
        data = u32(IFLA_BR_STP_STATE, bool(self.stp))
        kernel.send(self.netns, create_link(self.name, "bridge", *self.own(kernel), data=data, up=self.up_at_once))
        self.settle(kernel)

    def change(self, kernel: Kernel, seen: Value) -> None:
        if "stp" in self.differs(seen):
            data = nested(IFLA_INFO_DATA, u32(IFLA_BR_STP_STATE, bool(self.stp)))
            info = nested(IFLA_LINKINFO, text(IFLA_INFO_KIND, "bridge"), data)
            kernel.send(self.netns, set_link(0, text(IFLA_IFNAME, self.name), info))
        super(Bridge, self).change(kernel, seen)

    def create_commands(self) -> list[str]:
        words = [*self.own_words(), "type", "bridge", "stp_state", int(bool(self.stp))]
        return [ip(self.netns, "link", "add", "name", self.name, *words), *self.settle_commands()]

    def change_commands(self, seen: Value) -> list[str]:
        found = super(Bridge, self).change_commands(seen)
        if "stp" in self.differs(seen):
            words = ("type", "bridge", "stp_state", int(bool(self.stp)))
            found.insert(0, ip(self.netns, "link", "set", "dev", self.name, *words))
        return found
