"""What all links have in common, whatever their kind: name, MAC, MTU, master, up or down, and our mark in the alias.

How links come to be what they are: RTM_NEWLINK makes one (kind and IFLA_INFO_DATA say what), a second one marks it,
since the kernel ignores an alias in the creating message. It goes once the first has made the link (`Kernel.make`).
"""

from __future__ import annotations

import errno
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

from guestwire.errors import Problem
from guestwire.kinds.mark import alias, read_alias
from guestwire.kinds.port import Port
from guestwire.kinds.thing import Thing, ip
from guestwire.kinds.vlans import Vlans
from guestwire.linux.kernel import Kernel
from guestwire.linux.netlink import Socket, attribute, text, u32
from guestwire.linux.rtnetlink import (
    IFF_UP,
    IFLA_ADDRESS,
    IFLA_IFALIAS,
    IFLA_MASTER,
    IFLA_MTU,
    LinkMessage,
    create_link,
    link_local,
)
from guestwire.picture import Value, fact, passing, setting

__all__ = ["LEAST_MTU_IPV6", "USUAL_MTU", "Link", "Seen", "fits_ipv6", "mac_bytes"]

DEFAULT_PORT = Port()
GENERATED = {0: "eui64", 2: "stable_secret", 3: "random"}
"""How a link-local address is made, in the words of `ip link`."""
USUAL_MTU = 1500
"""Of Ethernet, in bytes: what a link has that nobody gave another."""
LEAST_MTU_IPV6 = 1280
"""Below this the kernel takes IPv6 away from a link (RFC 8200, 5)."""


def fits_ipv6(mtu: int | None) -> bool:
    """Whether a link of that MTU can have IPv6; None is the usual one."""
    return mtu is None or mtu >= LEAST_MTU_IPV6


def mac_bytes(mac: str) -> bytes:
    """The six bytes of a MAC written with colons."""
    return bytes.fromhex(mac.replace(":", ""))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Link(Thing):
    """A link.

    `link_local` False keeps the kernel from giving it an IPv6 link-local address; `master` "" is none; `port` counts
    while there is a master; `vlans` while that filters them; `long` is the full name, where shortened.
    """

    LINK_KINDS: ClassVar[tuple[str, ...]] = ()
    ATTACH_RANK: ClassVar[int] = 35
    """A link that is given to a master follows the addresses: make before break."""
    DETACH_RANK: ClassVar[int] = 21
    """One that is taken from its master may be wanted as a parent: no port can be one."""

    SELF: ClassVar[bool] = False
    """Whether its VLANs are those of its own, as a bridge's are, and not of a port that it is."""

    mac: str | None = setting()
    mtu: int | None = setting()
    up: bool | None = setting(True)
    master: str | None = setting()
    port: Port | None = setting()
    vlans: Vlans | None = setting()
    long: str | None = setting()
    link_local: bool | None = setting()
    generated: int = passing(0)
    """How its link-local address is made where it gets one: 0 by its MAC, as that of every new link."""
    index: int = fact(0)
    carrier: bool = fact(True)
    promiscuity: int = fact(0)

    @classmethod
    def parse(cls, seen: Seen) -> Link:
        """The value of a link as the kernel told it."""
        return cls(**seen.common())

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Self:
        vlans = data.get("vlans") and Vlans.from_json(*data["vlans"])
        return super(Link, cls).from_json({**data, "port": data.get("port") and Port(*data["port"]), "vlans": vlans})

    def kernel_word(self) -> str:
        """The kernel's word for its kind."""
        return self.LINK_KINDS[0] if self.LINK_KINDS else self.KIND

    def trial_name(self) -> str:
        return self.kernel_word()

    def lacks(self, sock: Socket) -> Problem | None:
        """What this kernel lacks to make one, tried in the socket's namespace, which is empty; None where nothing.

        EOPNOTSUPP tells that it doesn't know the kind. Any other refusal, say for want of a parent, comes from the kind
        itself, and so tells that it is there.
        """
        # A name of its own for each kind: one that is taken would be refused before the kind is looked at.
        kind = self.kernel_word()
        if all(error.errno != errno.EOPNOTSUPP for error in sock.transact([create_link(f"t.{kind[:13]}", kind)])):
            return None
        hint = f"Load its module (modprobe {kind}), or use a kernel that has it."
        return Problem(f"this kernel has no {kind} (Unknown device type).", hint)

    @property
    def place(self) -> tuple[str, str]:
        """The namespace, and the name there."""
        return self.netns, self.name

    def must_be_anew(self, seen: Value) -> bool:
        """Besides another fixed field: one of ours whose MTU has the kernel take IPv6 from it, or give it back bare.

        A bridge stays, for its ports' sake.
        """
        if super(Link, self).must_be_anew(seen):
            return True
        assert isinstance(seen, Link)
        crosses = self.mtu not in (None, seen.mtu) and fits_ipv6(self.mtu) != fits_ipv6(seen.mtu)
        return crosses and self.owner is not None and not self.SELF

    def claim(self) -> tuple[object, ...] | None:
        """What no other link can have at the same time, or None."""
        return None

    def holds_parent(self) -> bool:
        """Whether the link that it is on is otherwise while it is there."""
        return False

    def label(self) -> str:
        """What a drawing writes below the link's name."""
        return self.KIND

    # Making and changing

    def settle(self, kernel: Kernel, before: Link | None = None, *parts: bytes) -> None:
        """Queue what follows creation: the mark, the port's options, and `parts`, all for the link by its name."""
        if self.owner is not None and (before is None or (before.owner, before.long) != (self.owner, self.long)):
            parts += (text(IFLA_IFALIAS, alias(self.owner, self.long or self.name)),)
        if self._changes_link_local(before):
            parts += (link_local(self.generated if self.link_local else None),)
            kernel.adjust(self.netns, self.name, *parts)
            parts = ()  # up goes in a message after it: in the same one the kernel would set the link up first
        up = None if before is not None and before.up == self.up else self.up
        if parts or up is not None:
            kernel.adjust(self.netns, self.name, *parts, up=up)
        options = self.port.attribute(self._port_before(before)) if self.port and self.master else b""
        if options:
            kernel.adjust(self.netns, self.name, options)
        if self._changes_vlans(before):
            assert self.vlans is not None
            index = kernel.index(self.netns, self.name)
            for request in self.vlans.requests(index, self.SELF, self._vlans_before(before)):
                kernel.send(self.netns, request)

    def _port_before(self, before: Link | None) -> Port:
        """The options that its port has once it has the wanted master: a new port has those of all new ones."""
        same = before is not None and before.master == self.master
        return (before and same and before.port) or DEFAULT_PORT

    def _vlans_before(self, before: Link | None) -> Vlans | None:
        """The VLANs that its port has once it has the wanted master; None where it is a new port."""
        return before.vlans if before is not None and before.master == self.master else None

    def _changes_vlans(self, before: Link | None) -> bool:
        wanted = self.vlans if self.master or self.SELF else None
        return wanted is not None and wanted != self._vlans_before(before)

    def _changes_link_local(self, before: Link | None) -> bool:
        if not fits_ipv6(self.mtu):
            return False  # there is no IPv6 on it at all
        return self.link_local is not None and self.link_local != (before.link_local if before else True)

    @property
    def up_at_once(self) -> bool:
        """Whether the message that makes it can set it up too."""
        return bool(self.up) and self.link_local is not False

    def own(self, kernel: Kernel, before: Link | None = None) -> list[bytes]:
        """The attributes for MAC, MTU and master, as far as they are wanted and not so before."""
        parts = []
        if self.mac is not None and (before is None or before.mac != self.mac):
            parts.append(attribute(IFLA_ADDRESS, mac_bytes(self.mac)))
        if self.mtu is not None and (before is None or before.mtu != self.mtu):
            parts.append(u32(IFLA_MTU, self.mtu))
        if self.master is not None and (before.master or "" if before else "") != self.master:
            parts.append(u32(IFLA_MASTER, kernel.index(self.netns, self.master) if self.master else 0))
        return parts

    def change(self, kernel: Kernel, seen: Value) -> None:
        assert isinstance(seen, Link)
        own = self.own(kernel, seen)
        if self.mtu is not None and fits_ipv6(self.mtu) and not fits_ipv6(seen.mtu):
            kernel.adjust(self.netns, self.name, *own)  # nothing is said of IPv6 to a link that has none
            own, seen = [], replace(seen, link_local=True)  # as the kernel now has it
        self.settle(kernel, seen, *own)

    def change_rank(self, seen: Value) -> int:
        if "master" not in self.differs(seen):
            return self.RANK - 1
        return self.ATTACH_RANK if self.master else self.DETACH_RANK

    def why_refused(self, number: int) -> str | None:
        if number == errno.EBUSY and self.master:
            return (
                f"A NIC gives its frames to one taker only: {self.name} has a macvlan or macvtap, perhaps in another "
                "namespace. `ip -all netns exec ip -d link show type macvlan` (and macvtap) finds those in named ones."
            )
        if number == errno.EEXIST:
            return (
                f"A link has that name, perhaps as an alternative one: `{ip(self.netns, 'link', 'show', self.name)}` "
                "tells which."
            )
        if number == errno.EXFULL and self.master:
            return f"Bridge {self.master} has all the 1,023 ports that the kernel gives one."
        return None

    def delete(self, kernel: Kernel) -> None:
        kernel.doom(self.netns, self.name)

    # The same as commands

    def own_words(self, before: Link | None = None) -> list[object]:
        """What `ip link add` and `ip link set` take for MAC, MTU and master."""
        words: list[object] = []
        if self.mac is not None and (before is None or before.mac != self.mac):
            words += ["address", self.mac]
        if self.mtu is not None and (before is None or before.mtu != self.mtu):
            words += ["mtu", self.mtu]
        return words

    def settle_commands(self, before: Link | None = None) -> list[str]:
        """The commands for what `settle` and `own` queue beside MAC and MTU."""
        words: list[object] = []
        if self.master is not None and (before.master or "" if before else "") != self.master:
            words += ["master", self.master] if self.master else ["nomaster"]
        if self.owner is not None and (before is None or (before.owner, before.long) != (self.owner, self.long)):
            words += ["alias", alias(self.owner, self.long or self.name)]
        found = []
        if self._changes_link_local(before):
            words += ["addrgenmode", GENERATED[self.generated] if self.link_local else "none"]
            found, words = [ip(self.netns, "link", "set", "dev", self.name, *words)], []
        if self.up is not None and (before is None or before.up != self.up):
            words += ["up" if self.up else "down"] if self.up or before else []
        found += [ip(self.netns, "link", "set", "dev", self.name, *words)] if words else []
        options = self.port.words(self._port_before(before)) if self.port and self.master else []
        if options:
            found.append(ip(self.netns, "link", "set", "dev", self.name, "type", "bridge_slave", *options))
        if self._changes_vlans(before):
            assert self.vlans is not None
            found += self.vlans.commands(self.netns, self.name, self.SELF, self._vlans_before(before))
        return found

    def change_commands(self, seen: Value) -> list[str]:
        assert isinstance(seen, Link)
        words = self.own_words(seen)
        first = [ip(self.netns, "link", "set", "dev", self.name, *words)] if words else []
        return first + self.settle_commands(seen)

    def delete_commands(self) -> list[str]:
        return [ip(self.netns, "link", "delete", "dev", self.name)]


class Seen:
    """A link's message with what its numbers stand for: the master's name, and the peer or parent.

    `beyond_port` says that the peer or parent is a port; `vlans` are those of a port, or bridge, that filters them.
    """

    __slots__ = ("beyond", "beyond_port", "master", "message", "netns", "vlans")

    def __init__(
        self,
        netns: str,
        message: LinkMessage,
        master: str,
        beyond: tuple[str, str] | None,
        beyond_port: bool = False,
        vlans: Vlans | None = None,
    ) -> None:
        self.netns = netns
        self.message = message
        self.master = master
        self.beyond = beyond
        self.beyond_port = beyond_port
        self.vlans = vlans

    def common(self) -> dict[str, Any]:
        """The fields that every kind of link has."""
        message = self.message
        generated = message.generated
        marked = read_alias(message.alias)
        return {
            "netns": self.netns,
            "name": message.name,
            "owner": marked and marked[0],
            "long": marked[1] if marked and marked[1] != message.name else None,
            "mac": message.mac,
            "mtu": message.mtu,
            "up": bool(message.flags & IFF_UP),
            "master": self.master,
            "link_local": generated is not None,
            "generated": generated or 0,
            "port": Port.parse(message.slave_data) if message.slave_kind == "bridge" else None,
            "vlans": self.vlans,
            "index": message.ifindex,
            "carrier": message.carrier,
            "promiscuity": message.promiscuity,
        }
