"""A tap: a link whose cable ends in a descriptor; what the kernel sends out of it a program reads, and the reverse.

It is how a hypervisor gives a guest a NIC: the "vnet0" that libvirt puts into a bridge is one (drivers/net/tun.c).
Without a program that holds its descriptor a tap has no carrier, and what is sent there is lost. A tun is the same one
layer up: IP packets without Ethernet, so it can't be a bridge's port.

rtnetlink can't make one: a program opens /dev/net/tun and says a name, and gets the tap of that name or a new one. It
goes with its last descriptor unless it is told to persist; guestwire's do, so they wait for whoever opens them. Who may
open one is said by its `user` and `group` (tun_not_capable in tun.c): who has CAP_NET_ADMIN, and who is that user and
in that group, as far as it has them. One that has neither anybody may open, so guestwire's are at least root's. A tap
has one queue, so one program can hold it; with `multi_queue` each open is one more, 256 at most, and must ask for it.
An owner can be given to one and not taken away again, so guestwire makes it anew for another. What rtnetlink can do is
all the rest: MAC, MTU, master, up and down, deleting, and reading what it is (IFLA_TUN_*).
"""

from __future__ import annotations

import errno
import os
from dataclasses import dataclass, replace
from typing import ClassVar

from guestwire.errors import Problem
from guestwire.kinds.link import USUAL_MTU, Link, Seen, mac_bytes
from guestwire.kinds.mark import alias
from guestwire.kinds.thing import ip
from guestwire.linux import tuntap
from guestwire.linux.kernel import Kernel
from guestwire.linux.netlink import Socket, attribute, text
from guestwire.linux.rtnetlink import IFLA_ADDRESS, IFLA_IFALIAS, IFLA_IFNAME, set_link
from guestwire.picture import fact, fixed

__all__ = ["NOBODY", "Tap"]

NOBODY = -1
"""The user or group of a tap that has none. One that has neither is open to all whom /dev/net/tun lets in."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Tap(Link):
    """A tap, or with `tun` a tun. `user` and `group` are numbers, or NOBODY; `queues`: its descriptors."""

    KIND: ClassVar[str] = "tap"
    RANK: ClassVar[int] = 21
    LINK_KINDS: ClassVar[tuple[str, ...]] = ("tun",)

    tun: bool = fixed(False)
    multi_queue: bool | None = fixed()
    user: int | None = fixed()
    group: int | None = fixed()
    persistent: bool = fact(True)
    queues: int = fact(0)

    @classmethod
    def parse(cls, seen: Seen) -> Tap:
        found = tuntap.Standing.parse(seen.message.data)
        return cls(
            **seen.common(),
            tun=found.tun,
            multi_queue=found.multi_queue,
            user=found.user,
            group=found.group,
            persistent=found.persistent,
            queues=found.queues,
        )

    def lacks(self, sock: Socket) -> Problem | None:
        """rtnetlink makes none, so it can't be tried there: whether there is the door that they come through."""
        try:
            tuntap.features()
        except OSError as error:
            if isinstance(error, PermissionError):
                message = f"{tuntap.DOOR}, through which taps are made, is closed to you ({error.strerror})."
                return Problem(message, "Most machines let everybody in (chmod 666, as udev does); else do it as root.")
            if error.errno not in (errno.ENOENT, errno.ENODEV, errno.ENXIO):
                return None
            message = f"there is no {tuntap.DOOR}, through which taps are made ({error.strerror})."
            return Problem(message, "Load its module (modprobe tun), or give this container that device.")
        return None

    def create(self, kernel: Kernel) -> None:
        # All taps of a namespace are made first, in a row, and then seen to by rtnetlink, in a batch.
        kernel.later(self.netns, lambda: self._make(kernel.socket(self.netns)), self.name)

    def _make(self, sock: Socket) -> None:
        fd = tuntap.attach(self.name, tun=self.tun, multi_queue=bool(self.multi_queue), exclusive=True)
        try:
            # Until it persists it goes with us, whatever ends us; it persists with its mark.
            mark = [] if self.owner is None else [text(IFLA_IFALIAS, alias(self.owner, self.long or self.name))]
            mac = [] if self.mac is None or self.tun else [attribute(IFLA_ADDRESS, mac_bytes(self.mac))]
            for error in sock.transact([set_link(0, text(IFLA_IFNAME, self.name), *mark, *mac)]):
                raise error
            if self.user not in (None, NOBODY):
                tuntap.set_owner(fd, int(self.user or 0))
            if self.group not in (None, NOBODY):
                tuntap.set_group(fd, int(self.group or 0))
            tuntap.set_persistent(fd)
        finally:
            os.close(fd)

    def finish(self, kernel: Kernel) -> None:
        new = replace(self._new(), owner=self.owner, long=self.long)
        self.settle(kernel, new, *self.own(kernel, new))

    def _new(self) -> Tap:
        """As the driver made it, but for its MAC."""
        return Tap(netns=self.netns, name=self.name, mac=self.mac, mtu=USUAL_MTU, up=False, master="", link_local=True)

    def why_refused(self, number: int) -> str | None:
        if number == errno.EACCES:
            return f"{tuntap.DOOR} is closed to this user; `chmod 0666 {tuntap.DOOR}`, as udev has it, opens it."
        if number == errno.EINVAL and (self.user not in (None, 0, NOBODY) or self.group not in (None, NOBODY)):
            return "In a lab without root there is one user only: leave owner and group out."
        return super(Tap, self).why_refused(number)

    def create_commands(self) -> list[str]:
        words: list[object] = ["mode", "tun" if self.tun else "tap"]
        for name in ("user", "group"):
            if getattr(self, name) not in (None, NOBODY):
                words += [name, getattr(self, name)]
        return [ip(self.netns, "tuntap", "add", "dev", self.name, *words, "multi_queue" if self.multi_queue else "")]

    def finish_commands(self) -> list[str]:
        address = ["address", self.mac] if self.mac is not None and not self.tun else []
        words = [*address, *self.own_words(self._new())]
        first = [ip(self.netns, "link", "set", "dev", self.name, *words)] if words else []
        return first + self.settle_commands(self._new())

    def label(self) -> str:
        return "tun" if self.tun else "tap"
