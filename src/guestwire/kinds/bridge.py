"""A Linux bridge: a switch inside the kernel, with the host itself plugged into it through the bridge's own link.

Frames that arrive on a port are looked up by destination MAC in the forwarding table and leave through that port, or
through all ports while the address is unknown. An address on the bridge link is the host's own address on that segment;
an address on a *port* is dead, since the bridge takes every frame that the port receives (net/bridge/br_input.c).

Limits: 1,023 ports (net/bridge/br_private.h, BR_PORT_BITS); no bridge as a port, no lo, no TUN (br_add_if); a link can
be the port of one bridge only. Left to itself a bridge takes the lowest MAC of its ports and changes it as they come
and go, so guestwire always sets one; its MTU follows the least of its ports until somebody sets it, which
the message that makes it doesn't count as (br_mtu_auto_adjust). With STP on, a new
port forwards only after two forward delays (15 s each): DHCP gives up before that. It is off here.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, replace
from typing import ClassVar

from guestwire.errors import Problem
from guestwire.kinds.link import LEAST_MTU_IPV6, USUAL_MTU, Link, Seen
from guestwire.kinds.thing import ip
from guestwire.linux.kernel import Kernel
from guestwire.linux.netlink import Socket, attributes, nested, text, u8, u32
from guestwire.linux.rtnetlink import (
    IFLA_INFO_DATA,
    IFLA_INFO_KIND,
    IFLA_LINKINFO,
    IFLA_MTU,
    LinkMessage,
    create_link,
    read_link,
)
from guestwire.picture import Value, setting

__all__ = ["MOST_PORTS", "Bridge", "filters_vlans"]

MOST_PORTS = 1023
IFLA_BR_STP_STATE, IFLA_BR_VLAN_FILTERING = 5, 7


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Bridge(Link):
    """A bridge; `stp`: it speaks the spanning tree protocol; `vlan_filtering`: it keeps VLANs apart (vlans.py)."""

    KIND: ClassVar[str] = "bridge"
    RANK: ClassVar[int] = 10
    LINK_KINDS: ClassVar[tuple[str, ...]] = ("bridge",)

    SELF: ClassVar[bool] = True

    stp: bool | None = setting(False)
    vlan_filtering: bool | None = setting(False)

    @classmethod
    def parse(cls, seen: Seen) -> Bridge:
        stp = attributes(seen.message.data).get(IFLA_BR_STP_STATE)
        return cls(
            **seen.common(), stp=bool(stp and struct.unpack("=I", stp)[0]), vlan_filtering=filters_vlans(seen.message)
        )

    def trial_name(self) -> str:
        return "bridge that filters VLANs" if self.vlan_filtering else self.KIND

    def lacks(self, sock: Socket) -> Problem | None:
        """As of any link; and whether one that is to filter VLANs does so: some kernels only ignore that."""
        plain = super(Bridge, self).lacks(sock)
        if plain is not None or not self.vlan_filtering:
            return plain
        name = "t.vlans"
        sock.transact([create_link(name, "bridge", data=u8(IFLA_BR_VLAN_FILTERING, 1))])
        made = read_link(sock, name)
        if made is not None and filters_vlans(made):
            return None
        message = f"this kernel's bridges can't tell VLANs apart, and bridge {self.name} shall."
        return Problem(message, "Use a kernel with CONFIG_BRIDGE_VLAN_FILTERING, or a network for each VLAN.")

    @property
    def _first_mtu(self) -> int | None:
        """The MTU that it is made with, before its own is set: setting what a link has is ignored (dev_set_mtu_ext)."""
        return LEAST_MTU_IPV6 if self.mtu == USUAL_MTU else None

    def create(self, kernel: Kernel) -> None:
        data = u32(IFLA_BR_STP_STATE, bool(self.stp))
        if self.vlan_filtering:
            data += u8(IFLA_BR_VLAN_FILTERING, 1)
        own = replace(self, mtu=self._first_mtu).own(kernel)
        kernel.make(self.netns, create_link(self.name, "bridge", *own, data=data, up=self.up_at_once), self.place)
        self.settle(kernel, None, *([u32(IFLA_MTU, self.mtu)] if self.mtu else []))

    def change(self, kernel: Kernel, seen: Value) -> None:
        different, data = self.differs(seen), b""
        if "stp" in different:
            data += u32(IFLA_BR_STP_STATE, bool(self.stp))
        if "vlan_filtering" in different:
            data += u8(IFLA_BR_VLAN_FILTERING, bool(self.vlan_filtering))
        if data:
            info = nested(IFLA_LINKINFO, text(IFLA_INFO_KIND, "bridge"), nested(IFLA_INFO_DATA, data))
            kernel.adjust(self.netns, self.name, info)
        super(Bridge, self).change(kernel, seen)

    def create_commands(self) -> list[str]:
        words = [*replace(self, mtu=self._first_mtu).own_words(), "type", "bridge", "stp_state", int(bool(self.stp))]
        words += ["vlan_filtering", 1] if self.vlan_filtering else []
        size = [ip(self.netns, "link", "set", "dev", self.name, "mtu", self.mtu)] if self.mtu else []
        return [ip(self.netns, "link", "add", "name", self.name, *words), *size, *self.settle_commands()]

    def change_commands(self, seen: Value) -> list[str]:
        found = super(Bridge, self).change_commands(seen)
        different = self.differs(seen)
        words = [
            word
            for key, name in (("stp", "stp_state"), ("vlan_filtering", "vlan_filtering"))
            if key in different
            for word in (name, int(bool(getattr(self, key))))
        ]
        if words:
            found.insert(0, ip(self.netns, "link", "set", "dev", self.name, "type", "bridge", *words))
        return found


def filters_vlans(message: LinkMessage) -> bool:
    """Whether a link is a bridge that filters VLANs."""
    return message.kind == "bridge" and attributes(message.data).get(IFLA_BR_VLAN_FILTERING) == b"\1"
