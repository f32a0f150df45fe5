"""A veth pair: two links joined like a cable; what goes into one end comes out of the other, in whichever namespace.

It is how a namespace or container gets plugged into a bridge: the near end is the bridge's port, the far end the
guest's NIC (drivers/net/veth.c). A hypervisor can't use one: it wants a descriptor, so it takes a tap. Deleting one
end, or the namespace that holds it, deletes both. An end whose other is down has no carrier. Both ends want one MTU: a
frame that is too long for the receiving end is dropped there, and nobody is told.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any, ClassVar

from guestwire.kinds.link import Link, Seen
from guestwire.kinds.thing import ip
from guestwire.linux.kernel import Kernel
from guestwire.linux.netlink import attribute, text, u32
from guestwire.linux.rtnetlink import IFLA_IFNAME, IFLA_NET_NS_FD, IFLA_NUM_RX_QUEUES, IFLA_NUM_TX_QUEUES, create_link
from guestwire.picture import fact, fixed

__all__ = ["Veth"]

VETH_INFO_PEER = 1
ONE_QUEUE = u32(IFLA_NUM_TX_QUEUES, 1) + u32(IFLA_NUM_RX_QUEUES, 1)
"""What a veth uses anyway; left to itself it allocates one for each CPU, which takes half its making's time."""
QUEUE_WORDS = ("numtxqueues", "1", "numrxqueues", "1")
_NO_IFINFO = bytes(struct.calcsize("=BxHiII"))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Veth(Link):
    """One end of a pair; `peer` is the other's namespace and name.

    A pair is made with its near end; `far` is the other.
    """

    KIND: ClassVar[str] = "veth"
    RANK: ClassVar[int] = 20
    LINK_KINDS: ClassVar[tuple[str, ...]] = ("veth",)

    peer: tuple[str, str] | None = fixed()
    far: bool = fact(False)

    @classmethod
    def parse(cls, seen: Seen) -> Veth:
        # Which end was made first can't be read. A port counts as the near end, for one message then makes and enslaves
        # it.
        after = seen.beyond is not None and seen.beyond < (seen.netns, seen.message.name)
        far = after if bool(seen.master) == seen.beyond_port else seen.beyond_port
        return cls(**seen.common(), peer=seen.beyond, far=far)

    def to_json(self) -> dict[str, Any]:
        return {**super(Veth, self).to_json(), "far": self.far}  # else an undo would make each pair twice

    def create(self, kernel: Kernel) -> None:
        if self.far:
            return
        assert self.peer is not None
        netns, name = self.peer
        peer = _NO_IFINFO + text(IFLA_IFNAME, name) + ONE_QUEUE
        if netns != self.netns:
            peer += u32(IFLA_NET_NS_FD, kernel.fd(netns))
        data = attribute(VETH_INFO_PEER, peer)
        made = create_link(self.name, "veth", ONE_QUEUE, *self.own(kernel), data=data, up=self.up_at_once)
        kernel.make(self.netns, made, self.place, self.peer)
        self.settle(kernel)

    def finish(self, kernel: Kernel) -> None:
        if self.far:
            self.settle(kernel, None, *self.own(kernel))

    def on_links(self) -> tuple[tuple[str, str], ...]:
        return (self.peer,) if self.peer else ()

    def create_commands(self) -> list[str]:
        if self.far:
            return []
        assert self.peer is not None
        netns, name = self.peer
        words = [*self.own_words(), *QUEUE_WORDS, "type", "veth", "peer", "name", name, *QUEUE_WORDS]
        if netns != self.netns:
            words += ["netns", netns]
        return [ip(self.netns, "link", "add", "name", self.name, *words), *self.settle_commands()]

    def finish_commands(self) -> list[str]:
        if not self.far:
            return []
        words = self.own_words()
        first = [ip(self.netns, "link", "set", "dev", self.name, *words)] if words else []
        return first + self.settle_commands()
