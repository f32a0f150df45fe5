"""An address on a link. Adding one also makes the kernel add the route to its prefix, and deleting it takes that away.

Of several IPv4 addresses in one prefix on a link the first is primary, and deleting it deletes the others too, unless
the link's sysctl promote_secondaries is on (net/ipv4/devinet.c). Linux answers for any of its addresses on any link
(the weak host model) in IPv4; in IPv6 a link answers only for the addresses that are on it. The kernel lists IPv4
addresses in the order in which they came, those of IPv6 the other way round (ipv6_link_dev_addr, net/ipv6/addrconf.c).

A new IPv6 address is tentative for a second while the kernel looks for a duplicate (DAD); those that guestwire gives
out are unique by plan and skip it (IFA_F_NODAD). One that was in use until now skips it as well: it is made with the
flag, and then changed to be without.

Lifetimes run, and whoever set an address renews them: they are no difference between two addresses.
"""

from __future__ import annotations

import errno
import select
import shlex
import socket
import struct
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

from guestwire.errors import Problem
from guestwire.kinds.mark import PROTOCOL
from guestwire.kinds.thing import Thing, ip, unknown_attributes
from guestwire.linux.kernel import Kernel
from guestwire.linux.netlink import NLM_F_CREATE, NLM_F_EXCL, NLM_F_REPLACE, Request, Socket, attribute, text, u8, u32
from guestwire.linux.routes import dump_local
from guestwire.linux.rtnetlink import (
    IFA_ADDRESS,
    IFA_BROADCAST,
    IFA_CACHEINFO,
    IFA_F_NODAD,
    IFA_F_NOPREFIXROUTE,
    IFA_FLAGS,
    IFA_LABEL,
    IFA_LOCAL,
    IFA_PROTO,
    LO,
    RTM_DELADDR,
    RTM_NEWADDR,
    AddressMessage,
    dump_addresses,
)
from guestwire.picture import Value, fact, fixed, passing, setting

__all__ = ["Address", "AnyAddress"]

IFA_F_TEMPORARY, IFA_F_DADFAILED, IFA_F_DEPRECATED, IFA_F_TENTATIVE = 0x01, 0x08, 0x20, 0x40
FLAGS = {
    "nodad": IFA_F_NODAD,
    "home": 0x10,
    "mngtmpaddr": 0x100,
    "noprefixroute": IFA_F_NOPREFIXROUTE,
    "autojoin": 0x400,
}
"""Those that can be given, by the words of `ip address`."""
KEPT_FLAGS = sum(FLAGS.values())
IFA_RT_PRIORITY = 9
TRIED = "127.0.0.2"  # on a lo that nobody sees
KERNEL_RA, KERNEL_LINK_LOCAL = 2, 3  # IFAPROT_KERNEL_RA, IFAPROT_KERNEL_LL, include/uapi/linux/if_addr.h
FOREVER = 0xFFFFFFFF
TAKEN = 1  # seconds that the kernel gets to take packets for an address on another link
LONGEST = 15  # of a label: IFNAMSIZ without the zero byte
PROMOTE = "/proc/sys/net/ipv4/conf/{}/promote_secondaries"
_IFADDR = struct.Struct("=BBBBi")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class AnyAddress(Thing):
    """What all addresses have, of either kind, Address and LinkLocal; `name` is "ADDRESS/PREFIX LINK"."""

    RANK: ClassVar[int] = 30

    link: str = fixed("")
    address: str = fixed("")
    prefix: int = fixed(0)
    peer: str | None = fixed()
    flags: int | None = setting()
    broadcast: str | None = setting()
    label: str | None = setting()
    """Of IPv4: a name that begins with the link's, as `eth0:1`. On another link it is that one's, if it fits."""
    scope: int | None = setting()
    metric: int | None = setting()
    """Of the route to its prefix; 0 is the kernel's usual one."""
    until: tuple[float | None, float | None] | None = passing()
    """When it is no longer preferred, and no longer there, by CLOCK_MONOTONIC; None for never.

    What is deprecated may stay for good. Of such an IPv4 address the kernel tells that by the flag alone.
    """
    protocol: int = passing(0)
    """Who set it (IFA_PROTO, Linux 5.18)."""
    settled: bool = passing(False)
    """Whether it was in use until now, so that it is no duplicate."""
    temporary: bool = fact(False)
    unknown: tuple[int, ...] = fact(())
    """The attributes that it has and nothing here knows."""

    @classmethod
    def on(cls, netns: str, link: str, interface: str, owner: str | None, flags: int | None = None) -> Self:
        """The address `interface` ("10.0.0.1/24") on a link; IPv6 ones without DAD unless `flags` says otherwise."""
        address, prefix = interface.split("/")
        if flags is None:
            flags = IFA_F_NODAD if ":" in address else 0
        name = f"{interface} {link}"
        return cls(netns=netns, name=name, owner=owner, link=link, address=address, prefix=int(prefix), flags=flags)

    @classmethod
    def _seen(cls, netns: str, link: str, owner: str | None, seen: AddressMessage) -> Self:
        """The value of an address as the kernel told it."""
        six = seen.family == socket.AF_INET6
        value = cls(
            netns=netns,
            name=f"{seen.local}/{seen.prefix} {link}",
            owner=owner if seen.protocol == PROTOCOL else None,
            link=link,
            address=seen.local,
            prefix=seen.prefix,
            peer=seen.peer or None,
            flags=seen.flags & KEPT_FLAGS,
            broadcast=seen.broadcast or None,
            label=seen.label if seen.label not in ("", link) else None,
            scope=seen.scope,
            until=_until(0 if seen.flags & IFA_F_DEPRECATED else seen.preferred, seen.valid),
            protocol=seen.protocol,
            settled=not seen.flags & (IFA_F_TENTATIVE | IFA_F_DADFAILED),
            temporary=six and bool(seen.flags & IFA_F_TEMPORARY),
        )
        return replace(value, **_more(seen.rest)) if seen.rest else value

    @property
    def interface(self) -> str:
        """Address and prefix length, "10.0.0.1/24"."""
        return f"{self.address}/{self.prefix}"

    @property
    def place(self) -> tuple[str, str]:
        """The namespace, and address and prefix length: the same on another link."""
        return self.netns, self.interface

    @property
    def family(self) -> int:
        """4 or 6."""
        return 6 if ":" in self.address else 4

    @property
    def lifetimes(self) -> tuple[int, int]:
        """For how many seconds from now it is preferred, and valid; FOREVER for ever."""
        if self.until is None:
            return FOREVER, FOREVER
        now = time.monotonic()
        preferred, valid = (FOREVER if moment is None else max(0, round(moment - now)) for moment in self.until)
        return preferred, valid

    @property
    def ends(self) -> bool:
        """Whether it goes by itself unless somebody renews it."""
        return self.until is not None and self.until[1] is not None

    @property
    def fleeting(self) -> bool:
        return self.protocol == KERNEL_RA or self.temporary

    def can_return(self) -> bool:
        return self.lifetimes[1] > 0

    def moved(self, old: str, new: str) -> Self | None:
        if self.link != old:
            return None
        label = f"{new}{self.label.removeprefix(old)}" if self.label else None
        label = None if label and len(label) > LONGEST else label
        return replace(self, name=f"{self.interface} {new}", link=new, label=label)

    def uncarried(self) -> str | None:
        if self.unknown:
            return unknown_attributes("IFA", self.unknown)
        if self.label and not self.label.startswith(self.link):
            return f"its label {self.label} doesn't begin with the link's name, as only its maker could have it"
        return None

    def lacks(self, sock: Socket) -> Problem | None:
        """Whether an address can bear our mark: older kernels pass over what they don't know of a request."""
        local = attribute(IFA_LOCAL, socket.inet_pton(socket.AF_INET, TRIED))
        body = _IFADDR.pack(socket.AF_INET, 32, 0, 0, LO) + local + u8(IFA_PROTO, PROTOCOL)
        sock.transact([Request(RTM_NEWADDR, NLM_F_CREATE, body)])
        if any(each.protocol == PROTOCOL for each in dump_addresses(sock, lo=True)):
            return None
        message = "this kernel keeps no mark of whose an address is (IFA_PROTO), so ours couldn't be told from others'."
        return Problem(message, "Use Linux 5.18 or later.")

    def create(self, kernel: Kernel) -> None:
        if not self._was_in_use:
            kernel.send(self.netns, self._request(kernel, RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL))
            return
        quiet = replace(self, flags=(self.flags or 0) | IFA_F_NODAD)
        there = errno.EEXIST if self.fleeting else 0
        kernel.send(self.netns, quiet._request(kernel, RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL), there)
        self.change(kernel, quiet)

    def change(self, kernel: Kernel, seen: Value) -> None:
        kernel.send(self.netns, self._request(kernel, RTM_NEWADDR, NLM_F_CREATE | NLM_F_REPLACE))

    def delete(self, kernel: Kernel) -> None:
        request = self._request(kernel, RTM_DELADDR, 0)
        before = kernel.call(self.netns, self._promote) if self._may_promote() else "1"
        kernel.send(self.netns, request, errno.EADDRNOTAVAIL if self.fleeting else 0)
        if before != "1":
            kernel.call(self.netns, lambda: self._promote(before))

    def let_go(self, kernel: Kernel) -> None:
        """Take it from a link once packets to it are taken on another.

        Of IPv6 that is so a moment after it was made there: a kernel thread adds the route by which packets are known
        to be for this host (addrconf_dad_work, net/ipv6/addrconf.c), as on the link that it is on already.
        """
        if self.family == 6:
            number = kernel.index(self.netns, self.link)
            kernel.flush()
            until = time.monotonic() + TAKEN
            while time.monotonic() < until and not any(
                address == self.address and link != number for address, link in dump_local(kernel.socket(self.netns))
            ):
                select.select([], [], [], 0.001)  # there is a notification, but nothing says that it hasn't been
        self.delete(kernel)

    @property
    def _was_in_use(self) -> bool:
        """Whether it must be made without DAD although it hasn't the flag for that."""
        return self.family == 6 and self.settled and not (self.flags or 0) & IFA_F_NODAD

    def _may_promote(self) -> bool:
        """Whether others in its prefix must be kept: deleting the first of several takes the others along."""
        return self.family == 4 and self.owner is not None

    def _promote(self, wanted: str = "1") -> str:
        """Set promote_secondaries on the link; what it was before."""
        with open(PROMOTE.format(self.link), "r+") as file:
            before = file.read().strip()
            if before != wanted:
                file.seek(0)
                file.write(wanted)
        return before

    def _request(self, kernel: Kernel, message: int, how: int) -> Request:
        family = socket.AF_INET6 if ":" in self.address else socket.AF_INET
        local = socket.inet_pton(family, self.address)
        far = socket.inet_pton(family, self.peer) if self.peer else local
        flags = self.flags or 0
        body = _IFADDR.pack(family, self.prefix, flags & 0xFF, self.scope or 0, kernel.index(self.netns, self.link))
        body += attribute(IFA_LOCAL, local) + attribute(IFA_ADDRESS, far)
        if message == RTM_NEWADDR:
            if flags:
                body += u32(IFA_FLAGS, flags)
            if self.owner is not None or self.protocol:
                body += u8(IFA_PROTO, self.protocol or PROTOCOL)
            if self.broadcast:
                body += attribute(IFA_BROADCAST, socket.inet_pton(family, self.broadcast))
            if self.label:
                body += text(IFA_LABEL, self.label)
            if self.metric:
                body += u32(IFA_RT_PRIORITY, self.metric)
            if self.until is not None:
                body += attribute(IFA_CACHEINFO, struct.pack("=IIII", *self.lifetimes, 0, 0))
        return Request(message, how, body)

    def on_links(self) -> tuple[tuple[str, str], ...]:
        return ((self.netns, self.link),)

    def _command(self, verb: str) -> str:
        far = [self.address, "peer", f"{self.peer}/{self.prefix}"]
        words: list[object] = [*(far if self.peer else [self.interface]), "dev", self.link]
        if verb != "delete":
            words += ["broadcast", self.broadcast] if self.broadcast else []
            words += ["label", self.label] if self.label else []
            words += ["scope", self.scope] if self.scope else []
            words += ["metric", self.metric] if self.metric else []
            words += [word for word, flag in FLAGS.items() if (self.flags or 0) & flag]
            if self.until is not None:
                preferred, valid = ("forever" if n == FOREVER else n for n in self.lifetimes)
                words += ["valid_lft", valid, "preferred_lft", preferred]
        return ip(self.netns, "address", verb, *words)

    def create_commands(self) -> list[str]:
        if not self._was_in_use:
            return [self._command("add")]
        quiet = replace(self, flags=(self.flags or 0) | IFA_F_NODAD)
        return [quiet._command("add"), self._command("replace")]

    def change_commands(self, seen: Value) -> list[str]:
        return [self._command("replace")]

    def delete_commands(self) -> list[str]:
        if not self._may_promote():
            return [self._command("delete")]
        path, delete = shlex.quote(PROMOTE.format(self.link)), AnyAddress._command(replace(self, netns=""), "delete")
        script = f"was=$(cat {path}); echo 1 > {path}; {delete}; echo $was > {path}"
        where = f"ip netns exec {self.netns} " if self.netns else ""
        return [f"{where}sh -c {shlex.quote(script)}"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Address(AnyAddress):
    """An address, but for the link-local ones that the kernel makes by itself: those are a kind of their own."""

    KIND: ClassVar[str] = "address"

    @classmethod
    def parse(cls, netns: str, link: str, owner: str | None, seen: AddressMessage) -> Address | None:
        """The value of an address as the kernel told it; None for link-local ones that the kernel makes by itself."""
        return None if seen.protocol == KERNEL_LINK_LOCAL else cls._seen(netns, link, owner, seen)


def _until(preferred: int, valid: int) -> tuple[float | None, float | None] | None:
    if preferred == valid == FOREVER:
        return None
    now = time.monotonic()
    over = now + preferred if preferred else 0.0  # deprecated is deprecated, whenever it is read
    return None if preferred == FOREVER else over, None if valid == FOREVER else now + valid


def _more(rest: Mapping[int, bytes]) -> dict[str, Any]:
    """The fields of what few addresses have."""
    unknown = tuple(sorted(rest.keys() - {IFA_RT_PRIORITY}))
    return {"metric": struct.unpack("=I", rest.get(IFA_RT_PRIORITY, b"\0\0\0\0"))[0], "unknown": unknown}
