"""What a bridge port can be told: who it hears, whether frames go back out of it, what it floods and learns.

The options of one port (IFLA_BRPORT_*, include/uapi/linux/if_link.h; bridge(8)):

- `isolated`: an isolated port reaches only ports that are not; two isolated ones never hear each other.
- `hairpin`: a frame may leave through the port it came in by. On a switch this is called reflective relay.
- `learning`: source addresses seen here enter the forwarding table.
- `flood`: unicast frames to an unknown address also leave here.
- `group_fwd_mask`: which of 01:80:c2:00:00:0X cross although bridges keep them (bit X; 4 is LACP, 0x4000 LLDP).
- `locked`: only frames from addresses that the forwarding table has for this port come in: port security.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

from guestwire.linux.netlink import attributes, nested, text, u8, u16
from guestwire.linux.rtnetlink import IFLA_INFO_SLAVE_DATA, IFLA_INFO_SLAVE_KIND, IFLA_LINKINFO

__all__ = ["Port"]

IFLA_BRPORT_STATE = 1
IFLA_BRPORT_MODE = 4  # hairpin
IFLA_BRPORT_LEARNING, IFLA_BRPORT_UNICAST_FLOOD = 8, 9
IFLA_BRPORT_GROUP_FWD_MASK, IFLA_BRPORT_ISOLATED, IFLA_BRPORT_LOCKED = 31, 33, 39
_READ = frozenset(
    {IFLA_BRPORT_MODE, IFLA_BRPORT_LEARNING, IFLA_BRPORT_UNICAST_FLOOD}
    | {IFLA_BRPORT_GROUP_FWD_MASK, IFLA_BRPORT_ISOLATED, IFLA_BRPORT_LOCKED}
)
_NUMBER = struct.Struct("=H")


class Port(NamedTuple):
    """The options of a bridge port; as the kernel sets them on a new one."""

    isolated: bool = False
    hairpin: bool = False
    learning: bool = True
    flood: bool = True
    group_fwd_mask: int = 0
    locked: bool = False

    def __str__(self) -> str:
        return " ".join(self.words(Port())) or "as usual"

    @classmethod
    def parse(cls, data: bytes) -> Port:
        """The options in the IFLA_INFO_SLAVE_DATA of a link that is a bridge's port."""
        get = attributes(data, wanted=_READ).get
        mask = get(IFLA_BRPORT_GROUP_FWD_MASK)
        return cls(
            isolated=get(IFLA_BRPORT_ISOLATED) == b"\1",
            hairpin=get(IFLA_BRPORT_MODE) == b"\1",
            learning=get(IFLA_BRPORT_LEARNING) == b"\1",
            flood=get(IFLA_BRPORT_UNICAST_FLOOD) == b"\1",
            group_fwd_mask=_NUMBER.unpack(mask)[0] if mask else 0,
            locked=get(IFLA_BRPORT_LOCKED) == b"\1",
        )

    def attribute(self, before: Port) -> bytes:
        """The attribute that makes a port with the options `before` into this; empty where they are the same."""
        numbers = {
            "isolated": IFLA_BRPORT_ISOLATED,
            "hairpin": IFLA_BRPORT_MODE,
            "learning": IFLA_BRPORT_LEARNING,
            "flood": IFLA_BRPORT_UNICAST_FLOOD,
            "locked": IFLA_BRPORT_LOCKED,
        }
        parts = [u8(number, getattr(self, name)) for name, number in numbers.items() if self._differs(before, name)]
        if self._differs(before, "group_fwd_mask"):
            parts.append(u16(IFLA_BRPORT_GROUP_FWD_MASK, self.group_fwd_mask))
        if not parts:
            return b""
        return nested(IFLA_LINKINFO, text(IFLA_INFO_SLAVE_KIND, "bridge"), nested(IFLA_INFO_SLAVE_DATA, *parts))

    def words(self, before: Port) -> list[str]:
        """The words that `ip link set dev X type bridge_slave` takes to do what `attribute` does."""
        found: list[str] = []
        for name in self._fields:
            if self._differs(before, name):
                value = getattr(self, name)
                found += [name, str(value) if name == "group_fwd_mask" else "on" if value else "off"]
        return found

    def _differs(self, before: Port, name: str) -> bool:
        return bool(getattr(self, name) != getattr(before, name))
