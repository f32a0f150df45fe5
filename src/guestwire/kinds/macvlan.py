"""macvlan and macvtap: a link with a MAC of its own that shares its parent NIC's cable.

A macvlan hands its frames to a namespace, a macvtap to a descriptor, /dev/tapN. They are one driver with one set of
modes (drivers/net/macvlan.c, ip-link(8)):

- `vepa`: every frame goes out to the switch; two siblings talk only if the switch reflects (hairpin). The kernel's
  default.
- `bridge`: frames between siblings in bridge mode stay inside; the others go out.
- `private`: siblings never talk, even when the switch reflects.
- `passthru`: one child only, with the parent's MAC, and all that the parent hears. The host's own traffic there is
  over.
- `source`: only frames from the listed MACs come in.

The host's own addresses sit on the parent, and child and parent never hear each other in any mode, unless the switch
reflects: a guest reaches everybody but its host. The remedy is a macvlan of the host's own beside the guests'.
Limits: a NIC that is a bridge's port can't be a parent, nor a parent a port (one rx_handler a NIC: EBUSY); passthru
beside another is EINVAL; a child whose MAC a sibling or the parent has can't go up (EADDRINUSE); a child can't go up
while its parent is down; no MAC learning, so nothing can be bridged behind one, except in passthru. Wi-Fi admits one
MAC: no macvlan. A child stays on its parent, even from another namespace, and goes with it.

A child hears only the multicast groups that its own link has joined (macvlan_set_mac_lists). With a macvtap it is the
guest behind the descriptor that joins, unseen, and its neighbours would ask for its IPv6 addresses in vain; so one that
is opened wants `allmulticast on`. ARP is broadcast, and IPv4 works without: that is how to tell.
"""

from __future__ import annotations

import errno
import struct
from dataclasses import dataclass
from typing import ClassVar

from guestwire.kinds.child import Child
from guestwire.kinds.link import Seen, mac_bytes
from guestwire.kinds.thing import ip
from guestwire.linux.kernel import Kernel
from guestwire.linux.netlink import attribute, attributes, nested, text, u32
from guestwire.linux.rtnetlink import IFF_ALLMULTI, IFLA_INFO_DATA, IFLA_INFO_KIND, IFLA_LINKINFO
from guestwire.picture import Value, fixed, setting

__all__ = ["MODES", "Macvlan"]

MODES = {"private": 1, "vepa": 2, "bridge": 4, "passthru": 8, "source": 16}
# What the driver means by its refusals, children of the same parent in other namespaces being out of sight.
_ELSEWHERE = "`ip -all netns exec ip -d link show type macvlan` (and macvtap) finds those in named namespaces."
_WHY = {
    errno.EBUSY: "A NIC gives its frames to one taker only, and {parent} is a port of a bridge or another's already.",
    errno.EINVAL: "Passthru stands beside no other macvlan or macvtap, and {parent} most likely has one, perhaps in "
    f"another namespace. {_ELSEWHERE}",
    errno.EADDRINUSE: f"Another macvlan or macvtap on {{parent}} has its MAC, perhaps in another namespace. "
    f"{_ELSEWHERE}",
}
_NAMES = {number: name for name, number in MODES.items()}
IFLA_MACVLAN_MODE, IFLA_MACVLAN_MACADDR_MODE = 1, 3
IFLA_MACVLAN_MACADDR, IFLA_MACVLAN_MACADDR_DATA = 4, 5
MACVLAN_MACADDR_SET = 3


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Macvlan(Child):
    """A macvlan or a macvtap (`device`); `macs` is the source list.

    `all_multicast`: it hears every group, not only those that its own namespace has joined.
    """

    KIND: ClassVar[str] = "macvlan"
    RANK: ClassVar[int] = 22
    LINK_KINDS: ClassVar[tuple[str, ...]] = ("macvlan", "macvtap")

    device: str = fixed("macvlan")
    mode: str | None = setting("bridge")
    macs: tuple[str, ...] | None = setting()
    all_multicast: bool | None = setting()

    @classmethod
    def parse(cls, seen: Seen) -> Macvlan:
        found = attributes(seen.message.data)
        mode = _NAMES.get(struct.unpack("=I", found[IFLA_MACVLAN_MODE])[0])
        return cls(
            **seen.common(),
            device=seen.message.kind,
            parent=seen.beyond,
            mode=mode,
            macs=_list(found.get(IFLA_MACVLAN_MACADDR_DATA, b"")),
            all_multicast=bool(seen.message.flags & IFF_ALLMULTI),
        )

    def create(self, kernel: Kernel) -> None:
        self.beget(kernel, self._data(self.mode, self.macs), *self.own(kernel))

    def finish(self, kernel: Kernel) -> None:
        if self.all_multicast:
            self._hear(kernel)
        self.settle(kernel)

    def change(self, kernel: Kernel, seen: Value) -> None:
        assert isinstance(seen, Macvlan)
        different = self.differs(seen)
        if "mode" in different or "macs" in different:
            kernel.adjust(self.netns, self.name, self._reshape(different))
        if "all_multicast" in different:
            self._hear(kernel)
        super(Macvlan, self).change(kernel, seen)

    def must_be_anew(self, seen: Value) -> bool:
        """Besides another parent or device: into and out of passthru there is no way but a new link (EINVAL)."""
        anew = super(Macvlan, self).must_be_anew(seen)
        return anew or "passthru" in self.differs(seen).get("mode", ())

    def why_refused(self, number: int) -> str | None:
        if self.parent is None or number not in _WHY:
            return super(Macvlan, self).why_refused(number)
        return _WHY[number].format(parent=self.parent[1])

    def claim(self) -> tuple[object, ...] | None:
        return (self.parent, self.mac) if self.mac is not None else None

    def holds_parent(self) -> bool:
        return self.mode == "passthru"

    def label(self) -> str:
        return f"{self.device} {self.mode}"

    def _data(self, mode: str | None, macs: tuple[str, ...] | None) -> bytes:
        data = u32(IFLA_MACVLAN_MODE, MODES[mode]) if mode else b""
        if macs:
            data += u32(IFLA_MACVLAN_MACADDR_MODE, MACVLAN_MACADDR_SET)
            data += nested(IFLA_MACVLAN_MACADDR_DATA, *(attribute(IFLA_MACVLAN_MACADDR, mac_bytes(m)) for m in macs))
        return data

    def _hear(self, kernel: Kernel) -> None:
        kernel.adjust(self.netns, self.name, all_multicast=self.all_multicast)

    def _reshape(self, different: dict[str, tuple[object, object]]) -> bytes:
        data = self._data(self.mode, self.macs if "macs" in different else None)
        return nested(IFLA_LINKINFO, text(IFLA_INFO_KIND, self.device), nested(IFLA_INFO_DATA, data))

    def create_commands(self) -> list[str]:
        assert self.parent is not None
        made = self.beget_command("mode", self.mode)
        return [made, *(self._list_commands() if self.netns == self.parent[0] else ())]

    def finish_commands(self) -> list[str]:
        assert self.parent is not None
        lists = self._list_commands() if self.netns != self.parent[0] else []
        return [*lists, *(self._hear_commands() if self.all_multicast else ()), *self.settle_commands()]

    def change_commands(self, seen: Value) -> list[str]:
        different = self.differs(seen)
        found = super(Macvlan, self).change_commands(seen)
        if "mode" in different:
            found.insert(0, ip(self.netns, "link", "set", "dev", self.name, "type", self.device, "mode", self.mode))
        if "all_multicast" in different:
            found += self._hear_commands()
        return found + (self._list_commands() if "macs" in different else [])

    def _hear_commands(self) -> list[str]:
        return [ip(self.netns, "link", "set", "dev", self.name, "allmulticast", "on" if self.all_multicast else "off")]

    def _list_commands(self) -> list[str]:
        if not self.macs:
            return []
        words = ("type", self.device, "macaddr", "set", *self.macs)
        return [ip(self.netns, "link", "set", "dev", self.name, *words)]


def _list(data: bytes) -> tuple[str, ...]:
    size = len(attribute(IFLA_MACVLAN_MACADDR, bytes(6)))
    return tuple(sorted(data[at + 4 : at + 10].hex(":") for at in range(0, len(data), size)))
