"""A domain: what libvirt calls a virtual machine. It is its owner's; guestwire reads it, and plugs NICs in.

A domain has a definition, which is kept in /etc/libvirt/qemu and which it starts with, and while it runs a living state
besides. A NIC can be in either: one that is plugged in live is gone after the domain's next start, one that is only in
the definition comes with that. A *transient* domain has no definition, and ends for good when it stops.

Links of the host called vnetN or macvtapN are made by libvirt for domains' NICs as these start, and end with them.
They bear no mark of ours and are never touched; a `domain nic` says whose they are (kinds/domainnic.py).
"""

from __future__ import annotations

import errno
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import ClassVar

from guestwire.daemons import libvirt
from guestwire.errors import Unavailable
from guestwire.kinds.thing import Thing
from guestwire.linux import namespaces
from guestwire.linux.kernel import Kernel
from guestwire.picture import Key, Value, fact

__all__ = ["Domain", "answering", "apart", "called"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Domain(Thing):
    """A domain, called by its name. `elsewhere` says that its libvirtd is in another network namespace than this one,
    and so are the links that it makes."""

    KIND: ClassVar[str] = "domain"
    RANK: ClassVar[int] = 60
    NAMED: ClassVar[bool] = True
    COPIED: ClassVar[bool] = False

    uuid: str = fact("")
    running: bool = fact(False)
    persistent: bool = fact(True)
    elsewhere: bool = fact(False)

    @classmethod
    def read_all(cls, kernel: Kernel, keys: Iterable[Key] | None, netns: str = "") -> Iterator[Domain]:
        """Those of the domains that have such a key; with None all there are, as domains of `netns`.

        Raises Unavailable where libvirt is to be asked and doesn't answer.
        """
        for uri, there, asked in answering(kernel, keys):
            if asked is None:
                away = _is_elsewhere(kernel, there, netns)
                yield from (cls._made(netns, uri, found, away) for found in there.domains())
            for key in asked or ():
                one = there.domain(apart(key.name)[1])
                if one is not None:
                    yield cls._made(key.netns, uri, one, False)

    @classmethod
    def _made(cls, netns: str, uri: str, found: libvirt.Domain, away: bool) -> Domain:
        return cls(
            netns=netns,
            name=called(uri, found.name),
            uuid=found.uuid,
            running=found.running,
            persistent=found.persistent,
            elsewhere=away,
        )

    def create(self, kernel: Kernel) -> None:
        raise OSError(errno.EOPNOTSUPP, "a domain is libvirt's, and its owner's to start")

    def change(self, kernel: Kernel, seen: Value) -> None:
        """Nothing of it is ever wanted."""

    def delete(self, kernel: Kernel) -> None:
        raise OSError(errno.EOPNOTSUPP, "a domain is libvirt's, and its owner's to end")

    def can_return(self) -> bool:
        return False

    def create_commands(self) -> list[str]:
        return []

    def change_commands(self, seen: Value) -> list[str]:
        return []

    def delete_commands(self) -> list[str]:
        return []

    def namespaces(self) -> tuple[str, ...]:
        return ()


def called(uri: str, name: str) -> str:
    """What a thing of libvirt's is called in a picture: its own name, after an unusual connection's."""
    return name if uri == libvirt.SYSTEM else f"{uri} {name}"


def apart(name: str) -> tuple[str, str]:
    """The connection and the own name of what is called so."""
    uri, _, own = name.rpartition(" ")
    return uri or libvirt.SYSTEM, own


def answering(kernel: Kernel, keys: Iterable[Key] | None) -> Iterator[tuple[str, libvirt.Libvirt, list[Key] | None]]:
    """The connections to ask, by their URIs, each with the keys that it is asked for; with None the usual one for all.

    Raises Unavailable where one can't be had, or leads to a libvirtd whose links are in another namespace than theirs.
    """
    if keys is None:
        yield libvirt.SYSTEM, libvirt.connect(), None
        return
    by_uri: dict[str, list[Key]] = {}
    for key in keys:
        by_uri.setdefault(apart(key.name)[0], []).append(key)
    for uri, asked in by_uri.items():
        there = libvirt.connect(uri)
        if any(_is_elsewhere(kernel, there, netns) for netns in {key.netns for key in asked}):
            message = "libvirtd makes its links in another network namespace than the one that is the host here."
            raise Unavailable(message, hint="Leave --netns out; a copy of a host, as `try` makes, has no libvirt.")
        yield uri, there, asked


def _is_elsewhere(kernel: Kernel, there: libvirt.Libvirt, netns: str) -> bool:
    """Whether a libvirtd makes its links in another network namespace than that one, as far as can be seen."""
    return there.namespace() not in (None, namespaces.identity(kernel.fd(netns)))
