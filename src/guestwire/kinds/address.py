"""An address on a link. Adding one also makes the kernel add the route to its prefix, and deleting it takes that away.

Of several IPv4 addresses in one prefix on a link the first is primary, and deleting it deletes the others too, unless
the link's sysctl promote_secondaries is on (net/ipv4/devinet.c). Linux answers for any of its addresses on any link
(the weak host model) in IPv4; in IPv6 a link answers only for the addresses that are on it. A new IPv6 address is
tentative for a second while the kernel looks for a duplicate (DAD); those that guestwire gives out are unique by plan
and skip it (IFA_F_NODAD).
"""

from __future__ import annotations

import shlex
import socket
import struct
from dataclasses import dataclass, replace
from typing import ClassVar

from guestwire.kinds.mark import PROTOCOL
from guestwire.kinds.thing import Thing, ip
from guestwire.linux.kernel import Kernel
from guestwire.linux.netlink import NLM_F_CREATE, NLM_F_EXCL, NLM_F_REPLACE, Request, attribute, text, u8, u32
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
    RTM_DELADDR,
    RTM_NEWADDR,
    AddressMessage,
)
from guestwire.picture import Value, fact, fixed, setting

__all__ = ["Address"]

KEPT_FLAGS = IFA_F_NODAD | IFA_F_NOPREFIXROUTE
KERNEL_LINK_LOCAL = 3  # IFAPROT_KERNEL_LL, include/uapi/linux/if_addr.h
FOREVER = 0xFFFFFFFF
PROMOTE = "/proc/sys/net/ipv4/conf/{}/promote_secondaries"
_IFADDR = struct.Struct("=BBBBi")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Address(Thing):
    """An address with its prefix length on a link; `name` is "ADDRESS/PREFIX LINK"."""

    KIND: ClassVar[str] = "address"
    RANK: ClassVar[int] = 30

    link: str = fixed("")
    address: str = fixed("")
    prefix: int = fixed(0)
    peer: str | None = fixed()
    flags: int | None = setting()
    broadcast: str | None = setting()
    label: str | None = setting()
    scope: int | None = setting()
    lifetimes: tuple[int, int] | None = fact()

    @classmethod
    def on(cls, netns: str, link: str, interface: str, owner: str | None, flags: int | None = None) -> Address:
        """The address `interface` ("10.0.0.1/24") on a link; IPv6 ones without DAD unless `flags` says otherwise."""
        address, prefix = interface.split("/")
        if flags is None:
            flags = IFA_F_NODAD if ":" in address else 0
        name = f"{interface} {link}"
        return cls(netns=netns, name=name, owner=owner, link=link, address=address, prefix=int(prefix), flags=flags)

    @classmethod
    def parse(cls, netns: str, link: str, owner: str | None, seen: AddressMessage) -> Address | None:
        """The value of an address as the kernel told it; None for link-local ones that the kernel makes by itself."""
        if seen.protocol == KERNEL_LINK_LOCAL:
            return None
        return cls(
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
            lifetimes=(seen.preferred, seen.valid),
        )

    @property
    def interface(self) -> str:
        """Address and prefix length, "10.0.0.1/24"."""
        return f"{self.address}/{self.prefix}"

    @property
    def family(self) -> int:
        """4 or 6."""
        return 6 if ":" in self.address else 4

    def moved(self, link: str, owner: str | None) -> Address:
        """The same address on another link, IPv6 without DAD since it was in use until now."""
        flags = (self.flags or 0) | (IFA_F_NODAD if self.family == 6 else 0)
        return replace(self, name=f"{self.interface} {link}", link=link, owner=owner, flags=flags, label=None)

    def create(self, kernel: Kernel) -> None:
        kernel.send(self.netns, self._request(kernel, RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL))

    def change(self, kernel: Kernel, seen: Value) -> None:
        kernel.send(self.netns, self._request(kernel, RTM_NEWADDR, NLM_F_CREATE | NLM_F_REPLACE))

    def delete(self, kernel: Kernel) -> None:
        request = self._request(kernel, RTM_DELADDR, 0)
        before = kernel.call(self.netns, self._promote) if self._may_promote() else "1"
        kernel.send(self.netns, request)
        if before != "1":
            kernel.call(self.netns, lambda: self._promote(before))

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
            if self.owner is not None:
                body += u8(IFA_PROTO, PROTOCOL)
            if self.broadcast:
                body += attribute(IFA_BROADCAST, socket.inet_pton(family, self.broadcast))
            if self.label:
                body += text(IFA_LABEL, self.label)
            if self.lifetimes and self.lifetimes[1] != FOREVER:
                body += attribute(IFA_CACHEINFO, struct.pack("=IIII", *self.lifetimes, 0, 0))
        return Request(message, how, body)

    def on_links(self) -> tuple[tuple[str, str], ...]:
        return ((self.netns, self.link),)

    def _command(self, verb: str) -> str:
        words: list[object] = [self.interface if not self.peer else f"{self.address} peer {self.peer}/{self.prefix}"]
        words += ["dev", self.link]
        if verb != "delete":
            words += ["broadcast", self.broadcast] if self.broadcast else []
            words += ["label", self.label] if self.label else []
            words += ["scope", self.scope] if self.scope else []
            words += ["nodad"] if (self.flags or 0) & IFA_F_NODAD else []
            words += ["noprefixroute"] if (self.flags or 0) & IFA_F_NOPREFIXROUTE else []
        return ip(self.netns, "address", verb, *words)

    def create_commands(self) -> list[str]:
        return [self._command("add")]

    def change_commands(self, seen: Value) -> list[str]:
        return [self._command("replace")]

    def delete_commands(self) -> list[str]:
        if not self._may_promote():
            return [self._command("delete")]
        path, delete = shlex.quote(PROMOTE.format(self.link)), Address._command(replace(self, netns=""), "delete")
        script = f"was=$(cat {path}); echo 1 > {path}; {delete}; echo $was > {path}"
        where = f"ip netns exec {self.netns} " if self.netns else ""
        return [f"{where}sh -c {shlex.quote(script)}"]
