"""Any link that guestwire doesn't make: a hardware NIC, or a kind that has no file here. Read, drawn, and borrowed.

A file may name one as an uplink. Then it may be given a master or set up, and is given back as it was.

In a copy of a host, where nothing else can be had, one end of a veth pair stands for it (`stand_in`). Its alias says
what for, and so it is read as that again.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import ClassVar

from guestwire.kinds.link import Link, Seen
from guestwire.kinds.veth import Veth
from guestwire.linux.kernel import Kernel
from guestwire.linux.netlink import text
from guestwire.linux.rtnetlink import ARPHRD_ETHER, IFLA_IFALIAS, LinkMessage
from guestwire.linux.sysfs import is_wireless
from guestwire.picture import fact

__all__ = ["Nic", "is_stand_in"]

STAND_IN = "guestwire-nic:"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Nic(Link):
    """A link of a kind that guestwire only reads; `kernel_kind` is the kernel's word for it, "" for hardware."""

    KIND: ClassVar[str] = "nic"
    RANK: ClassVar[int] = 13

    kernel_kind: str = fact("")
    ethernet: bool = fact(True)
    wireless: bool = fact(False)
    stand_in: tuple[str, str] | None = fact()
    """In a copy: the namespace and name of the other end of the veth pair that stands for it."""

    @classmethod
    def parse(cls, seen: Seen) -> Nic:
        message = seen.message
        if is_stand_in(message):
            kind, ethernet, wireless = message.alias.removeprefix(STAND_IN).split(":")
            facts = {"kernel_kind": kind, "ethernet": bool(ethernet), "wireless": bool(wireless)}
            return cls(**{**seen.common(), **facts}, stand_in=seen.beyond)
        return cls(
            **seen.common(),
            kernel_kind=message.kind,
            ethernet=message.type == ARPHRD_ETHER,
            wireless=not seen.netns and not message.kind and is_wireless(message.name),
        )

    def create(self, kernel: Kernel) -> None:
        if self.stand_in is None:
            raise NotImplementedError(f"{self.name}: hardware can't be made")
        own = {f.name: getattr(self, f.name) for f in fields(Link)}
        Veth(**own, peer=self.stand_in).create(kernel)
        words = [self.kernel_kind, "ethernet" if self.ethernet else "", "wireless" if self.wireless else ""]
        kernel.adjust(self.netns, self.name, text(IFLA_IFALIAS, STAND_IN + ":".join(words)))

    def create_commands(self) -> list[str]:
        return [f"# {self.name} must be there"]

    def label(self) -> str:
        return self.kernel_kind or "NIC"


def is_stand_in(message: LinkMessage) -> bool:
    """Whether a link stands for one that can't be made."""
    return message.kind == "veth" and message.alias.startswith(STAND_IN)
