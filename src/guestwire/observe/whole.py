"""Reads all that a copy of a host is made from: beyond `observe`, every sysctl and nft table, and whom it knows.

What can't be copied is counted here too, so that it can be told.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import NamedTuple

from guestwire.kinds import Link, kinds
from guestwire.kinds.address import Address
from guestwire.kinds.nft import Nft
from guestwire.kinds.sysctl import FOLDER, NO_LINKS, Sysctl
from guestwire.linux import nftables
from guestwire.linux.census import Census, census
from guestwire.linux.kernel import Kernel
from guestwire.linux.neighbours import (
    NTF_PROXY,
    NUD_DELAY,
    NUD_PERMANENT,
    NUD_PROBE,
    NUD_REACHABLE,
    NUD_STALE,
    dump_neighbours,
)
from guestwire.linux.rtnetlink import AF_BRIDGE, dump_addresses
from guestwire.observe.observe import look_up
from guestwire.picture import Key, Picture

__all__ = ["Known", "Whole", "read_whole"]

HEARD_OF = NUD_REACHABLE | NUD_STALE | NUD_DELAY | NUD_PROBE | NUD_PERMANENT
MANY = 64  # links from which on only the settings that matter here are read of each
MATTER = frozenset(
    {"accept_ra", "arp_announce", "arp_filter", "arp_ignore", "autoconf", "disable_ipv6", "forwarding", "proxy_arp"}
    | {"proxy_arp_pvlan", "proxy_ndp", "promote_secondaries", "rp_filter", "route_localnet", "send_redirects"}
)


class Known(NamedTuple):
    """A neighbour that the host knows: by which link, its address, its MAC, and behind which port of a bridge."""

    link: str
    address: str
    mac: str
    port: str


@dataclass(frozen=True)
class Whole:
    """A host, read whole. `loopback` are the addresses on its lo, which no picture has."""

    host: str
    picture: Picture
    neighbours: tuple[Known, ...]
    loopback: tuple[Address, ...]
    census: Census
    unread: list[tuple[str, str]] = field(default_factory=list)
    """What couldn't be read, and why."""


def read_whole(kernel: Kernel, host: str, seen: Picture, named: Iterable[Key] = ()) -> Whole:
    """The whole of the host, from a picture of it and of those of its guests' namespaces that matter.

    `named` are the keys of what is to be read besides. Nothing is changed; raises OSError where reading is refused.
    """
    picture = seen.copy()
    dumped = [Key("", netns, kind.KIND, "") for kind in kinds().values() if kind.DUMPED for netns in seen.scope]
    look_up(kernel, picture, [key for key in [*dumped, *named] if key not in picture])
    unread = []
    try:
        tables = [Key("", host, Nft.KIND, name) for name in kernel.call(host, nftables.tables)]
        look_up(kernel, picture, [key for key in tables if key not in picture])
    except OSError as error:
        unread.append(("nftables", f"its rules can't be read ({error.strerror})"))
    for value in kernel.call(host, lambda: list(_sysctls(host, picture))):
        if value.key not in picture:
            picture.add(value)
    return Whole(
        host,
        picture,
        tuple(_neighbours(kernel, host, picture)),
        tuple(_loopback(kernel, host)),
        kernel.call(host, census),
        unread,
    )


def _sysctls(host: str, picture: Picture) -> Iterator[Sysctl]:
    """Every setting below net that can be set, of the namespace that this thread is in."""
    links = {link.name for link in picture.of(Link, host)}
    few = len(links) <= MANY
    top = f"{FOLDER}/net"
    for folder, _, files in os.walk(top):
        parts = folder.removeprefix(top).split("/")
        link = parts[3] if len(parts) > 3 and parts[2] in ("conf", "neigh") and parts[3] not in NO_LINKS else None
        for name in files if link is None or few or parts[2] == "conf" else ():
            if link is None or few or name in MATTER:
                content = _content(f"{folder}/{name}")
                if content is not None:
                    yield Sysctl(netns=host, name=f"{folder}/{name}".removeprefix(f"{FOLDER}/"), content=content)


def _content(path: str) -> str | None:
    """What a setting is; None where it is no setting, but a state or a secret."""
    with suppress(OSError):
        mode = os.stat(path).st_mode
        if mode & stat.S_IRUSR and mode & stat.S_IWUSR:
            with open(path) as file:
                return file.read().strip()
    return None


def _neighbours(kernel: Kernel, host: str, picture: Picture) -> Iterator[Known]:
    links = {link.index: link for link in picture.of(Link, host)}
    sock = kernel.socket(host)
    behind = {}
    for entry in dump_neighbours(sock, AF_BRIDGE):
        link = links.get(entry.ifindex)
        if link is not None and link.master and not entry.state & NUD_PERMANENT:
            behind[link.master, entry.mac] = link.name
    for entry in dump_neighbours(sock):
        link = links.get(entry.ifindex)
        heard_of = entry.state & HEARD_OF and not entry.flags & NTF_PROXY and len(entry.mac) == len("00:00:00:00:00:00")
        if link is not None and heard_of and entry.address and not ip_address(entry.address).is_multicast:
            yield Known(link.name, entry.address, entry.mac, behind.get((link.name, entry.mac), ""))


def _loopback(kernel: Kernel, host: str) -> Iterator[Address]:
    for message in dump_addresses(kernel.socket(host), lo=True):
        if not ip_address(message.local).is_loopback:
            value = Address.parse(host, "lo", None, message)
            if value is not None:
                yield value
