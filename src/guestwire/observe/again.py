"""Reads again what may have changed of a picture: single links, or a namespace's addresses and routes.

A picture that is kept for long knows each link's number, by which links name one another. So one link is read with one
request, where reading a namespace takes three dumps and more time the more there is.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from functools import cache

from guestwire.errors import Unavailable
from guestwire.kinds import Link, Thing, kinds, link_kinds
from guestwire.kinds.address import Address
from guestwire.kinds.attachment import Attachment
from guestwire.kinds.bridge import Bridge, filters_vlans
from guestwire.kinds.link import Seen
from guestwire.kinds.namespace import Namespace, owner_in
from guestwire.kinds.nic import Nic
from guestwire.kinds.port import Port
from guestwire.kinds.route import Route
from guestwire.kinds.vlans import Vlans
from guestwire.linux.kernel import Kernel
from guestwire.linux.reading import Reading
from guestwire.linux.routes import dump_routes
from guestwire.linux.rtnetlink import (
    LO,
    LinkMessage,
    VlanInfo,
    dump_addresses,
    dump_links,
    dump_vlans,
    namespace_id,
    parse_link,
    read_link,
    told_port,
    told_vlans,
)
from guestwire.observe.observe import PAIR, UNKNOWN, inside, kind_of, look_up_patiently
from guestwire.picture import Key, Picture, Value

__all__ = ["Again"]

FEW = 24  # links of one namespace that are read one by one: reading all is faster where it is more


@cache
def _words() -> tuple[str, ...]:
    """What the kinds of links are called in keys."""
    return tuple(dict.fromkeys((Nic.KIND, *(kind.KIND for kind in link_kinds().values()))))


class Again:
    """Reads parts of a picture again, into it. What has changed since is in `changed`, with what was there before.
    What can't be asked for stays as it was, and is in `unread`, with why.

    Reads by `kernel`, of the namespaces in the picture's scope. A namespace that is gone is taken out with all in it.
    `numbers` says which namespace another knows by a number, as far as somebody has found out; it is added to.
    """

    def __init__(self, kernel: Kernel, picture: Picture, numbers: dict[tuple[str, int], str]) -> None:
        self._kernel = kernel
        self._picture = picture
        self._numbers = numbers
        self._likely: str | None = None  # where links led last: those of all guests lead to the host as a rule
        self._names: dict[str, dict[int, str]] = {}
        self._vlans: dict[str, dict[int, list[VlanInfo]]] = {}
        self.changed: dict[Key, Thing | None] = {}
        self.unread: dict[Key, Unavailable] = {}

    def links(
        self,
        told: Mapping[str, Mapping[int, bytes]],
        names: Mapping[str, set[str]],
        ports: Mapping[str, Mapping[int, bytes]] | None = None,
    ) -> list[tuple[Link | None, Link | None]]:
        """Take note of links; each that is otherwise, as it was and is.

        Of those `told`, by namespace and number, there is the message that the kernel told of it last, b"" where it is
        gone; those in `names` are read; of those in `ports` there is what a bridge has told of them since. All are
        known before the first is understood, for they name one another.
        """
        found: list[tuple[str, LinkMessage]] = []
        gone: list[Link] = []
        for netns in dict.fromkeys((*told, *names)):
            known = self._known(netns)
            bodies = told.get(netns, {})
            messages = {index: parse_link(body) for index, body in bodies.items() if body}
            called = {known[index] for index in bodies if index in known} | names.get(netns, set())
            messages |= {message.ifindex: message for message in self._read(netns, names.get(netns, set()))}
            messages.pop(LO, None)
            there = {message.name for message in messages.values()}
            lost = [link for name in called - there if (link := self._at(netns, name)) is not None]
            found += [(netns, message) for message in messages.values()]
            for link in lost:
                if known.get(link.index) == link.name:
                    del known[link.index]  # it may be there under another name
            gone += lost
            known.update((message.ifindex, message.name) for message in messages.values())
        for link in gone:
            self._note(link.key, None)
        moved = [*((link, None) for link in gone), *self._understood(found)]
        for netns, options in (ports or {}).items():
            self._options(netns, options)
        return moved

    def _options(self, netns: str, told: Mapping[int, bytes]) -> None:
        """Take note of ports' options, and of their VLANs where those count."""
        for index, body in told.items():
            link = self._at(netns, self._known(netns).get(index, UNKNOWN))
            if link is None:
                continue
            options, vlans = told_port(body), Vlans.parse(told_vlans(body))
            new = replace(link, port=Port.parse(options) if link.port is not None and options else link.port)
            new = replace(new, vlans=vlans if link.vlans is not None else None)
            if new != link:
                self._note(link.key, new)

    def _understood(self, told: list[tuple[str, LinkMessage]]) -> Iterator[tuple[Link | None, Link | None]]:
        ports = {(netns, message.name) for netns, message in told if message.master}
        for netns, message in told:
            old = self._at(netns, message.name, kind_of(message))
            new = self._link(netns, message, old, ports)
            if old is not None and old.key != new.key:
                self._note(old.key, None)
            if old is None or old != new or old.index != new.index:
                self._note(new.key, new)
                yield old, new
            else:
                self._picture.add(new)  # what is only seen beside may be otherwise

    def _read(self, netns: str, names: set[str]) -> list[LinkMessage]:
        try:
            sock = self._kernel.socket(netns) if names else None
        except FileNotFoundError:
            return []
        if sock is None:
            return []
        if len(names) > FEW:
            return [message for message in dump_links(sock) if message.name in names]
        return [message for name in names if (message := read_link(sock, name)) is not None]

    def _link(self, netns: str, message: LinkMessage, old: Link | None, ports: set[tuple[str, str]]) -> Link:
        master = self._known(netns).get(message.master, UNKNOWN) if message.master else ""
        beyond = self._beyond(netns, message, old)
        port = False
        if beyond is not None and message.kind == PAIR:
            other = self._at(*beyond, kind_of(message))
            port = beyond in ports or (other is not None and bool(other.master))
        return kind_of(message).parse(
            Seen(netns, message, master, beyond, port, self._vlans_of(netns, message, master))
        )

    def _vlans_of(self, netns: str, message: LinkMessage, master: str) -> Vlans | None:
        """The VLANs of a bridge that filters them, or of a port of one: the news of links doesn't tell them."""
        bridge = self._picture.get(Key("", netns, Bridge.KIND, master)) if master else None
        if not filters_vlans(message) and not (isinstance(bridge, Bridge) and bridge.vlan_filtering):
            return None
        if netns not in self._vlans:
            self._vlans[netns] = dump_vlans(self._kernel.socket(netns))
        return Vlans.parse(self._vlans[netns].get(message.ifindex, ()))

    def _beyond(self, netns: str, message: LinkMessage, old: Link | None) -> tuple[str, str] | None:
        """What a message's IFLA_LINK stands for: a veth's peer, a macvlan's parent."""
        if not message.link:
            return None
        where: str | None = netns
        if message.link_netnsid is not None:
            guess = next((place[0] for place in old.on_links()), None) if old else None
            where = self._number(netns, message.link_netnsid, guess)
        if where is None:
            return (UNKNOWN, str(message.link))
        if message.link not in self._known(where):  # it is new, too
            self._known(where).update((link.ifindex, link.name) for link in dump_links(self._kernel.socket(where)))
        return (where, self._known(where).get(message.link, UNKNOWN))

    def _number(self, netns: str, number: int, guess: str | None) -> str | None:
        """Which namespace of the picture `netns` knows by that number; None where it is none of them."""
        if (netns, number) not in self._numbers:
            sock = self._kernel.socket(netns)
            likely = [each for each in (guess, self._likely) if each in self._picture.scope]
            for other in dict.fromkeys((*likely, *self._picture.scope)):
                try:
                    found = namespace_id(sock, self._kernel.fd(other)) if other != netns else None
                except FileNotFoundError:
                    continue
                if found is not None:
                    self._numbers[netns, found] = other
                if found == number:
                    self._likely = other
                    break
            else:
                return None
        return self._numbers[netns, number]

    def _known(self, netns: str) -> dict[int, str]:
        if netns not in self._names:
            self._names[netns] = {link.index: link.name for link in self._picture.of(Link, netns)}
        return self._names[netns]

    def _at(self, netns: str, name: str, likely: type[Link] = Nic) -> Link | None:
        """The link that is called so, whatever its kind."""
        for word in dict.fromkeys((likely.KIND, *_words())):
            found = self._picture.get(Key("", netns, word, name))
            if isinstance(found, Link):
                return found
        return None

    def addresses(self, netns: str) -> None:
        """Read a namespace's addresses and routes."""
        try:
            sock = self._kernel.socket(netns)
        except FileNotFoundError:
            return
        told = Reading([], dump_addresses(sock), dump_routes(sock))
        names = self._known(netns)
        namespace = self._picture.get(Key("", netns, Namespace.KIND, netns))
        marked = namespace.owner if namespace is not None else None
        owners = {link.name: link.owner for link in self._picture.of(Link, netns)}
        there = {value.key: value for value in inside(told, netns, names, owners, marked)}
        old = [value for kind in (Address, Route) for value in self._picture.of(kind, netns)]
        for value in old:
            if value.key not in there:
                self._note(value.key, None)
        for key, value in there.items():
            have = self._picture.get(key)
            if have != value:
                self._note(key, value)
            elif getattr(have, "until", None) != getattr(value, "until", None):
                self._picture.add(value)  # it was renewed, and is the same

    def named(self, keys: Iterable[Key]) -> None:
        """Read what is read by its key alone, and all of a kind that is read with its namespace."""
        asked = list(dict.fromkeys(keys))
        before = {key: self._picture.get(key) for key in asked}
        dumped = {(kind, key.netns) for key in asked if (kind := kinds()[key.kind]).DUMPED}
        before.update({value.key: value for kind, netns in dumped for value in self._picture.of(kind, netns)})
        known = Picture(value for value in before.values() if value is not None)
        for key in before:
            self._picture.remove(key)
        self.unread |= look_up_patiently(self._kernel, self._picture, asked, known)
        there = {value.key for kind, netns in dumped for value in self._picture.of(kind, netns)}
        for key in {*before, *there}:
            old, new = before.get(key), self._picture.get(key)
            if old != new:
                self._note(key, new, old)

    def namespace(self, netns: str) -> bool:
        """Take note of a namespace that has gone, or is another one now under that name; whether it is there."""
        attachment = Attachment.named(netns)
        for place in [place for place, other in self._numbers.items() if netns in (place[0], other)]:
            del self._numbers[place]
        try:
            sock = self._kernel.socket(netns)
        except OSError:
            for value in self._picture.of(Thing, netns):
                self._note(value.key, None)
            self._picture.scope.discard(netns)
            if attachment is not None:
                self._note(attachment.key, attachment)
            return False
        value = attachment or Namespace.named(netns, owner_in(sock))
        self._picture.scope.add(netns)
        if self._picture.get(value.key) != value:
            self._note(value.key, value)
        return True

    def _note(self, key: Key, new: Value | None, old: Value | None = None) -> None:
        """Put a new value, or that there is none, into the picture."""
        before = old if old is not None else self._picture.get(key)
        self.changed.setdefault(key, before if isinstance(before, Thing) else None)
        if new is None:
            self._picture.remove(key)
        else:
            self._picture.add(new)
