"""A tap: a link whose cable ends in a descriptor; what the kernel sends out of it a program reads, and the reverse.

It is how a hypervisor gives a guest a NIC: the "vnet0" that libvirt puts into a bridge is one (drivers/net/tun.c).
Without a program that holds its descriptor a tap has no carrier. A tun is the same one layer up: IP packets without
Ethernet, so it can't be a bridge's port.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from guestwire.kinds.link import Link, Seen
from guestwire.kinds.thing import ip
from guestwire.linux.kernel import Kernel
from guestwire.linux.netlink import attributes
from guestwire.picture import fixed

__all__ = ["Tap"]

IFLA_TUN_TYPE = 3
IFF_TUN = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Tap(Link):
    """A tap, or with `tun` a tun. Read and drawn; it is its program's, or the user's."""

    KIND: ClassVar[str] = "tap"
    RANK: ClassVar[int] = 21
    LINK_KINDS: ClassVar[tuple[str, ...]] = ("tun",)

    tun: bool = fixed(False)

    @classmethod
    def parse(cls, seen: Seen) -> Tap:
        return cls(**seen.common(), tun=attributes(seen.message.data).get(IFLA_TUN_TYPE) == bytes([IFF_TUN]))

    def create(self, kernel: Kernel) -> None:
        raise NotImplementedError(f"{self.name}: taps are made by those who hold their descriptors")

    def create_commands(self) -> list[str]:
        return [ip(self.netns, "tuntap", "add", "dev", self.name, "mode", "tun" if self.tun else "tap")]

    def label(self) -> str:
        return "tun" if self.tun else "tap"
