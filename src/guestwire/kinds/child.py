"""A child: a link that shares its parent's cable, made beside it and put into another namespace in the same message.

Before Linux 6.15 the kernel looks for the child's name where the request comes from, not where the link goes to, and a
host that has an eth0 of its own could make no guest an eth0 (rtnl_newlink in net/core/rtnetlink.c). A request that says
the new link's number is looked up by that instead. So a child that goes elsewhere gets a number, made from its name.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass

from guestwire.kinds.link import Link
from guestwire.kinds.thing import ip
from guestwire.linux.kernel import Kernel
from guestwire.linux.netlink import u32
from guestwire.linux.rtnetlink import IFLA_LINK, IFLA_NET_NS_FD, create_link
from guestwire.picture import fixed, setting

__all__ = ["Child"]

HIGH = 1_000_000_000
"""The kernel counts links from 1, and will hardly come here. Two namespaces may use a number alike."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Child(Link):
    """A link of the driver `device`; `parent` is the lower NIC's namespace and name."""

    device: str = fixed()
    parent: tuple[str, str] | None = fixed()
    mode: str | None = setting()

    def on_links(self) -> tuple[tuple[str, str], ...]:
        return (self.parent,) if self.parent else ()

    def kernel_word(self) -> str:
        return self.device

    def beget(self, kernel: Kernel, data: bytes, *parts: bytes) -> None:
        """Queue the request that makes it, with `data` of its driver's own."""
        assert self.parent is not None
        home, name = self.parent
        request = [u32(IFLA_LINK, kernel.index(home, name)), *parts]
        if self.netns != home:
            request.append(u32(IFLA_NET_NS_FD, kernel.fd(self.netns)))
        made = create_link(self.name, self.device, *request, data=data, index=self._number())
        kernel.make(home, made, self.place)

    def beget_command(self, *words: object) -> str:
        """The command that does the same, with `words` of its driver's own."""
        assert self.parent is not None
        home, parent = self.parent
        place = ["index", self._number(), "netns", self.netns] if self.netns != home else []
        own = [*self.own_words(), *place, "type", self.device, *words]
        return ip(home, "link", "add", "link", parent, "name", self.name, *own)

    def _number(self) -> int:
        if self.parent is None or self.netns == self.parent[0]:
            return 0
        return HIGH + zlib.crc32(self.name.encode()) % HIGH
