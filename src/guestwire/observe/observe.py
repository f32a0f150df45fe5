"""Reads namespaces into a picture: every link, address and route in them, and whatever else is asked for by its key.

Links name one another by numbers: masters and parents by an index, those in another namespace by an index and the
number that this namespace has for that one. So all links are read first, then named.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping

from guestwire.errors import Unavailable
from guestwire.kinds import Thing, kinds, link_kinds
from guestwire.kinds.address import Address
from guestwire.kinds.attachment import Attachment
from guestwire.kinds.bridge import filters_vlans
from guestwire.kinds.link import Link, Seen
from guestwire.kinds.mark import owner_of
from guestwire.kinds.namespace import Namespace
from guestwire.kinds.nic import Nic, is_stand_in
from guestwire.kinds.route import Route, told_apart
from guestwire.kinds.vlans import Vlans
from guestwire.linux import namespaces, signposts
from guestwire.linux.kernel import Kernel
from guestwire.linux.reading import Reading
from guestwire.linux.rtnetlink import LO, LinkMessage, dump_vlans, namespace_id
from guestwire.picture import Key, Picture

__all__ = ["PAIR", "UNKNOWN", "inside", "kind_of", "look_up", "look_up_patiently", "observe", "read_vlans"]

PAIR = "veth"  # the kind of link (IFLA_INFO_KIND) whose other half is a link like itself
UNKNOWN = "?"
"""The namespace of a link's other half that lies in none of those that were read."""


def observe(kernel: Kernel, host: str, others: Iterable[str] = ()) -> Picture:
    """The picture of the namespace `host` and of those `others` that exist: their links, addresses and routes.

    `host` is looked at first when a link's other half is sought. Raises OSError where reading is refused.
    """
    return _Reader(kernel, host, others).picture()


def look_up(kernel: Kernel, picture: Picture, keys: Iterable[Key]) -> None:
    """Add to a picture what isn't read with each namespace.

    Of kinds that are read by name (sysctls, files, nft tables) what there is under the keys; of those that the kernel
    only lists (rules, neighbours) all of a namespace, whichever of it is asked for.
    """
    asked: dict[type[Thing], list[Key]] = {}
    listed: dict[type[Thing], set[str]] = {}
    for key in keys:
        kind = kinds()[key.kind]
        if key.netns and key.netns not in picture.scope and not kind.OUTLASTS and not _has_ended(picture, key):
            continue
        if kind.NAMED:
            asked.setdefault(kind, []).append(key)
        elif kind.DUMPED:
            listed.setdefault(kind, set()).add(key.netns)
    for kind, these in asked.items():
        picture.add(*kind.read_all(kernel, these))
    if listed:
        links: dict[str, dict[int, Thing]] = {netns: {} for netns in set().union(*listed.values())}
        for link in picture.of(Link):
            if link.netns in links:
                links[link.netns][link.index] = link
        for kind, spaces in listed.items():
            picture.add(*kind.dump_all(kernel, {netns: links[netns] for netns in spaces}))


def look_up_patiently(kernel: Kernel, picture: Picture, keys: Iterable[Key], known: Picture) -> dict[Key, Unavailable]:
    """The same; but of a kind whose daemon can't be asked what is `known` stays. Those keys, each with why.

    Unread isn't absent: who watches over a host waits until the daemon is back.
    """
    unread: dict[Key, Unavailable] = {}
    by_kind: dict[str, list[Key]] = {}
    for key in keys:
        by_kind.setdefault(key.kind, []).append(key)
    for these in by_kind.values():
        try:
            look_up(kernel, picture, these)
        except Unavailable as error:
            unread.update(dict.fromkeys(these, error))
            picture.add(*(value for key in these if (value := known.get(key)) is not None))
    return unread


def _has_ended(picture: Picture, key: Key) -> bool:
    """Whether it is of a container that has ended: a program of ours that was in there runs yet."""
    return Key("", key.netns, Attachment.KIND, key.netns) in picture and kinds()[key.kind].NAMED


class _Reader:
    def __init__(self, kernel: Kernel, host: str, others: Iterable[str]) -> None:
        self.kernel = kernel
        self.links: dict[str, list[LinkMessage]] = {}
        self.inside: dict[str, Reading] = {}
        self.attached: dict[str, Attachment] = {}
        signs = signposts.links_in(namespaces.FOLDER)
        for netns in dict.fromkeys((host, *others)):
            if netns in signs and (attachment := Attachment.named(netns)) is not None:
                self.attached[netns] = attachment
            with contextlib.suppress(FileNotFoundError):
                self.inside[netns] = kernel.reading(netns)
                self.links[netns] = self.inside[netns].links
        self.names = {netns: {link.ifindex: link.name for link in links} for netns, links in self.links.items()}
        self.vlans = {netns: read_vlans(kernel, netns, links) for netns, links in self.links.items()}
        self.ports = {netns: {link.ifindex for link in links if link.master} for netns, links in self.links.items()}
        self.numbers: dict[str, dict[int, str]] = {}
        self.unasked: dict[str, Iterator[str]] = {}
        self.paired: dict[tuple[str, int], tuple[tuple[str, str], bool]] = {}

    def picture(self) -> Picture:
        picture = Picture(self.attached.values(), scope=self.links)
        for netns, links in self.links.items():
            owner = self._namespace(picture, netns, links)
            self.kernel.learn(netns, {link.name: link.ifindex for link in links})
            owners: dict[str, str | None] = {}
            for link in links:
                if link.ifindex != LO:
                    value = self._link(netns, link)
                    owners[link.name] = value.owner
                    picture.add(value)
            picture.add(*inside(self.inside[netns], netns, self.names[netns], owners, owner))
        return picture

    def _namespace(self, picture: Picture, netns: str, links: list[LinkMessage]) -> str | None:
        if netns in self.attached or self.kernel.is_led(netns):
            return None  # it is somebody else's
        owner = next((owner_of(link.alias) for link in links if link.ifindex == LO), None)
        if netns:
            picture.add(Namespace.named(netns, owner))
        return owner

    def _link(self, netns: str, message: LinkMessage) -> Link:
        master = self.names[netns].get(message.master, "") if message.master else ""
        vlans = self.vlans[netns].get(message.ifindex)
        return kind_of(message).parse(Seen(netns, message, master, *self._beyond(netns, message), vlans))

    def _beyond(self, netns: str, message: LinkMessage) -> tuple[tuple[str, str] | None, bool]:
        """The link that a message's IFLA_LINK stands for, a veth's peer, a macvlan's parent; whether that is a port."""
        if not message.link:
            return None, False
        if (netns, message.ifindex) in self.paired:
            return self.paired[netns, message.ifindex]
        where: str | None = netns
        if message.link_netnsid is not None:
            where = self._number(netns, message.link_netnsid)
        name = self.names[where].get(message.link) if where is not None else None
        if where is not None and message.kind == PAIR:  # so the other end need not ask the same
            self.paired[where, message.link] = (netns, message.name), message.master != 0
        if where is None or name is None:
            return (UNKNOWN, str(message.link)), False
        return (where, name), message.link in self.ports[where]

    def _number(self, netns: str, number: int) -> str | None:
        """Which namespace `netns` knows by `number`.

        Each is asked about once, the host first, until the number is found.
        """
        known = self.numbers.setdefault(netns, {})
        if number not in known:
            for other in self.unasked.setdefault(netns, iter(self.links)):
                found = namespace_id(self.kernel.socket(netns), self.kernel.fd(other)) if other != netns else None
                if found is not None:
                    known[found] = other
                if found == number:
                    break
        return known.get(number)


def read_vlans(kernel: Kernel, netns: str, links: Iterable[LinkMessage]) -> dict[int, Vlans]:
    """The VLANs of those bridges among a namespace's links that filter them, and of their ports, by their numbers.

    They cost a dump of their own, so they are asked for only where there is such a bridge.
    """
    bridges = {link.ifindex for link in links if filters_vlans(link)}
    told = dump_vlans(kernel.socket(netns)) if bridges else {}
    ports = {link.ifindex for link in links if link.master in bridges} if bridges else set()
    return {index: Vlans.parse(told.get(index, ())) for index in bridges | ports}


def kind_of(message: LinkMessage) -> type[Link]:
    """Which kind of link the kernel tells of."""
    return Nic if is_stand_in(message) else link_kinds().get(message.kind, Nic)


def inside(
    told: Reading, netns: str, names: Mapping[int, str], owners: Mapping[str, str | None], owner: str | None
) -> Iterator[Thing]:
    """The addresses and routes of a namespace, whose links are called so; `owner` is its own."""
    for address in told.addresses:
        link = names.get(address.ifindex)
        if link is not None:
            value = Address.parse(netns, link, owners.get(link) or owner, address)
            if value is not None:
                yield value
    routes = []
    for route in told.routes:
        link = names.get(route.oif, "")
        routes.append(Route.parse(netns, link, owners.get(link) or owner, route, names))
    yield from told_apart(routes)
