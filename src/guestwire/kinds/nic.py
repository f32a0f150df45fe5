"""Any link that guestwire doesn't make: a hardware NIC, or a kind that has no file here. Read, drawn, and borrowed.

A file may name one as an uplink. Then it may be given a master or set up, and is given back as it was.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from guestwire.kinds.link import Link, Seen
from guestwire.linux.kernel import Kernel
from guestwire.linux.rtnetlink import ARPHRD_ETHER
from guestwire.linux.sysfs import is_wireless
from guestwire.picture import fact

__all__ = ["Nic"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Nic(Link):
    """A link of a kind that guestwire only reads; `kernel_kind` is the kernel's word for it, "" for hardware."""

    KIND: ClassVar[str] = "nic"
    RANK: ClassVar[int] = 13

    kernel_kind: str = fact("")
    ethernet: bool = fact(True)
    wireless: bool = fact(False)

    @classmethod
    def parse(cls, seen: Seen) -> Nic:
        message = seen.message
        return cls(
            **seen.common(),
            kernel_kind=message.kind,
            ethernet=message.type == ARPHRD_ETHER,
            wireless=not seen.netns and not message.kind and is_wireless(message.name),
        )

    def create(self, kernel: Kernel) -> None:
        raise NotImplementedError(f"{self.name}: hardware can't be made")

    def create_commands(self) -> list[str]:
        return [f"# {self.name} must be there"]

    def label(self) -> str:
        return self.kernel_kind or "NIC"
