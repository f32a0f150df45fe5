"""A sysctl of a namespace: a kernel setting, read and written as a file under /proc/sys.

Which files there are differs: a namespace other than the first lacks half of `net.*`, which is of the whole machine.
Those below net/ipv4/conf/LINK, net/ipv6/conf/LINK and the like are a link's, and come and go with it. Those of
"default" are what a link has from its making on; those of "all" say different things for each name
(Documentation/networking/ip-sysctl.rst).

Forwarding, of all of them, is the one that drags others along (net/ipv4/devinet.c, net/ipv6/addrconf.c):

- net/ipv4/ip_forward, the same as net/ipv4/conf/all/forwarding, sets it for every link there is and for new ones, and
  resets accept_redirects. A packet is passed on where the link that it *came in by* has it on; so for IPv4 guestwire
  sets single links.
- net/ipv6/conf/all/forwarding alone lets IPv6 packets pass, whatever the links say, and sets theirs. A link that
  forwards takes no router's advertisement any more, and loses the default route that it had from one, unless its
  accept_ra is 2. So that is set before, and given back after. A link may have it on while all have not, which says only
  that it is a router's (systemd-networkd sets it so); turning it off for all turns that off too, so it is set again.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import ClassVar

from guestwire.kinds.thing import Thing
from guestwire.linux.kernel import Kernel
from guestwire.picture import Key, Value, passing, setting

__all__ = ["FOLDER", "IPV4_FORWARD", "IPV6_FORWARD", "NO_LINKS", "Sysctl"]

FOLDER = "/proc/sys"
NO_LINKS = ("all", "default")
IPV4_FORWARD, IPV6_FORWARD = "net/ipv4/ip_forward", "net/ipv6/conf/all/forwarding"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Sysctl(Thing):
    """A setting; `name` is its path below /proc/sys. Deleting a link's gives it the value that new links have; another
    can't be deleted, only given another value."""

    KIND: ClassVar[str] = "sysctl"
    RANK: ClassVar[int] = 5
    NAMED: ClassVar[bool] = True
    MARKED: ClassVar[bool] = False
    LINKS_RANK: ClassVar[int] = 25
    """Those of links come once links are made, and while they have no addresses yet."""

    content: str | None = setting()
    overruled: bool = passing(False)
    """Whether what says the same for all links was on, so that somebody wants it otherwise on this one."""
    besides: tuple[str, ...] = passing(())
    """The links that had it on while all had not: what is written for all is written for them."""

    @classmethod
    def of(cls, netns: str, family: int, link: str, name: str, content: str, owner: str | None = None) -> Sysctl:
        """One that a link has for IPv4 or IPv6: `Sysctl.of("", 4, "eth0", "forwarding", "1")`."""
        return cls(netns=netns, name=f"net/ipv{family}/conf/{link}/{name}", content=content, owner=owner)

    @classmethod
    def read(cls, kernel: Kernel, key: Key) -> Sysctl | None:
        found: Thing | None = next(iter(cls.read_all(kernel, [key])), None)
        assert found is None or isinstance(found, Sysctl)
        return found

    @classmethod
    def read_all(cls, kernel: Kernel, keys: Iterable[Key]) -> Iterator[Thing]:
        """Those of each namespace in one go: a link alone has a hundred."""
        names: dict[str, list[str]] = {}
        for key in keys:
            names.setdefault(key.netns, []).append(key.name)
        for netns, these in names.items():
            found = kernel.call(netns, partial(_contents, [*these, IPV4_FORWARD]))
            for name, content in ((name, found[name]) for name in these if name in found):
                value = cls(netns=netns, name=name, content=content)
                if name == IPV6_FORWARD and content == "0":
                    value = replace(value, besides=kernel.call(netns, _besides))
                above = value.overruled_by
                yield replace(value, overruled=True) if above and found.get(above.name) == "1" else value

    @property
    def link(self) -> str | None:
        """The link that it is one of, or None."""
        parts = self.name.split("/")
        return parts[3] if len(parts) == 5 and parts[2] in ("conf", "neigh") and parts[3] not in NO_LINKS else None

    @property
    def overruled_by(self) -> Key | None:
        """What says the same for all links: while that is on, somebody wants it on this link as well."""
        if self.link is None or not self.name.startswith("net/ipv4/") or not self.name.endswith("/forwarding"):
            return None
        return Key("", self.netns, self.KIND, IPV4_FORWARD)

    def rank(self) -> int:
        if self.name == IPV6_FORWARD:  # after accept_ra when it is turned on, before it when it is turned off
            return self.LINKS_RANK + (1 if self.content == "1" else -1)
        return self.RANK if self.link is None else self.LINKS_RANK

    def change_rank(self, seen: Value) -> int:
        return self.rank()

    def create(self, kernel: Kernel) -> None:
        def write() -> None:
            with open(f"{FOLDER}/{self.name}", "w") as file:
                file.write(f"{self.content}\n")
            for link in self.besides:
                with contextlib.suppress(FileNotFoundError), open(f"{FOLDER}/{self._of(link)}", "w") as file:
                    file.write("1\n")

        kernel.call(self.netns, write)

    def change(self, kernel: Kernel, seen: Value) -> None:
        self.create(kernel)

    def delete(self, kernel: Kernel) -> None:
        def reset() -> None:
            with open(f"{FOLDER}/{self._default()}") as default, open(f"{FOLDER}/{self.name}", "w") as file:
                file.write(default.read())

        if self.link is not None:
            kernel.call(self.netns, reset)

    def _of(self, link: str) -> str:
        return self.name.replace("/all/", f"/{link}/")

    def _default(self) -> str:
        return self.name.replace(f"/{self.link}/", "/default/")

    def on_links(self) -> tuple[tuple[str, str], ...]:
        return ((self.netns, self.link),) if self.link is not None else ()

    def create_commands(self) -> list[str]:
        values = {self.name: self.content, **dict.fromkeys(map(self._of, self.besides), "1")}
        return [f"{self._where()}sysctl -qw {name}={content}" for name, content in values.items()]

    def change_commands(self, seen: Value) -> list[str]:
        return self.create_commands()

    def delete_commands(self) -> list[str]:
        if self.link is None:
            return []
        return [f"{self._where()}sysctl -qw {self.name}=$({self._where()}sysctl -n {self._default()})"]

    def _where(self) -> str:
        return f"ip netns exec {self.netns} " if self.netns else ""


def _contents(names: Iterable[str]) -> dict[str, str]:
    """What is in the files of those names, in the namespace that this thread is in."""
    found = {}
    for name in names:
        with contextlib.suppress(FileNotFoundError), open(f"{FOLDER}/{name}") as file:
            found[name] = file.read().strip()
    return found


def _besides() -> tuple[str, ...]:
    """The links that forward IPv6 by their own setting, in the namespace that this thread is in."""
    names = [IPV6_FORWARD.replace("/all/", f"/{link}/") for link in os.listdir(f"{FOLDER}/net/ipv6/conf")]
    return tuple(sorted(name.split("/")[3] for name, content in _contents(names).items() if content == "1"))
