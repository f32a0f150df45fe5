"""What of the picture may have changed and is to be read again, as far as events tell."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from guestwire.kinds import Link, Thing, kinds
from guestwire.kinds.namespace import Namespace
from guestwire.kinds.nft import Nft
from guestwire.kinds.sysctl import Sysctl
from guestwire.linux.monitor import ADDRESS, DOWN, GONE, LINK, NETCONF, PORT, ROUTE, TABLE, Event
from guestwire.observe import Again
from guestwire.picture import Key
from guestwire.watch.web import Web

__all__ = ["Stale", "is_silent"]

OTHER = "0"  # the digest of rules that are none of ours


@dataclass
class Stale:
    """What is to be looked at again.

    `told` has of a namespace's links, by number, the message that the kernel told of it last; `ports` the options of
    those of which these alone were told since; `links` are names that are to be read, `addresses` namespaces whose
    addresses and routes are, `keys` what is read by key. `touched` are the keys of what we have changed ourselves: what
    is there then counts as news, though it is as before. Of namespaces that are found gone `dying` has the far ends of
    what was in them, which the kernel ends in its own time. `everything` where events were lost, so that nothing but a
    look at all of it helps. `anew` where what is wanted was made for something that has gone or is otherwise: a
    process, an address of the host's.
    """

    told: dict[str, dict[int, bytes]] = field(default_factory=lambda: defaultdict(dict))
    ports: dict[str, dict[int, bytes]] = field(default_factory=lambda: defaultdict(dict))
    links: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    addresses: set[str] = field(default_factory=set)
    keys: set[Key] = field(default_factory=set)
    namespaces: set[str] = field(default_factory=set)
    touched: set[Key] = field(default_factory=set)
    dying: dict[str, set[Key]] = field(default_factory=dict)
    everything: bool = False
    anew: bool = False

    def __bool__(self) -> bool:
        parts = (self.told, self.ports, self.links, self.addresses, self.keys, self.namespaces, self.touched)
        return self.everything or self.anew or any(parts)

    def note(self, events: Iterable[Event], seen: Web, wanted: Web) -> None:
        """Take note of events, as far as they are about what is seen or wanted."""
        dumped: set[str] = set()
        numbers: dict[str, dict[int, str]] = {}
        for netns, what, number, body in events:
            if netns not in seen.scope:
                continue
            if what in (LINK, DOWN, GONE):
                self.told[netns][number] = body
                self.ports[netns].pop(number, None)
                if what != LINK:
                    self.addresses.add(netns)
            elif what in (ADDRESS, ROUTE):
                self.addresses.add(netns)
            elif what == TABLE:
                key = Key("", netns, Nft.KIND, body.decode(errors="replace"))
                self.keys.update({key} if key in wanted else ())
            elif what == PORT:
                self.ports[netns][number] = body
            elif what == NETCONF:
                if netns not in numbers:
                    numbers[netns] = {link.index: link.name for link in seen.of(Link, netns)}
                self.keys.update(_sysctls(wanted, netns, numbers[netns].get(number, "") if number > 0 else ""))
            else:
                dumped.add(netns)
        for netns in dumped:
            self.keys.update(value.key for value in wanted.of(Thing, netns) if value.DUMPED)

    def touch(self, values: Iterable[Thing]) -> None:
        """Have what was just changed by a plan looked at again. Of links the kernel has told by then."""
        for value in values:
            self.touched.add(value.key)
            if isinstance(value, Namespace):
                self.namespaces.add(value.name)
            elif _read_by_key(value.key):
                self.keys.add(value.key)

    def renew(self, again: Again, seen: Web, wanted: Web) -> None:
        """Look at it all again; what has changed is in `again.changed`."""
        for netns in sorted(self.namespaces):
            places = [(netns, link.name) for link in seen.of(Link, netns)]
            ends = {key for place in places for key in seen.hanging(place) if key.netns != netns}
            if not again.namespace(netns):
                self.dying[netns] = ends
            else:
                self.links[netns].update(link.name for web in (seen, wanted) for link in web.of(Link, netns))
                self.addresses.add(netns)
                self.keys.update(key for key in wanted.inside(netns) if _read_by_key(key))
        renamed: dict[str, set[str]] = defaultdict(set)
        for old, new in again.links(self.told, self.links, self.ports):
            self._follow(old, new, seen, wanted, renamed)
        for old, new in again.links({}, renamed):
            self._follow(old, new, seen, wanted, renamed)
        for netns in sorted(self.addresses):
            again.addresses(netns)
        if self.keys:
            tables = {key: value for key in self.keys if isinstance(value := seen.get(key), Nft)}
            again.named(sorted(self.keys))
            _compare(seen, tables)

    def _follow(self, old: Link | None, new: Link | None, seen: Web, wanted: Web, renamed: dict[str, set[str]]) -> None:
        """What else is to be read where a link is another than it was."""
        link = new or old
        assert link is not None
        same = old is not None and new is not None and old.index == new.index
        if old is None or new is None or old.index != new.index or old.up != new.up:
            self.addresses.add(link.netns)
        if not same:
            hanging = set(seen.hanging((link.netns, link.name)))
            wanting = wanted.hanging((link.netns, link.name))
            self.keys.update(key for key in (*hanging, *wanting) if _read_by_key(key))
            beyond = [seen.link(place) for place in link.on_links()] if old is None else []
            hanging |= {each.key for each in beyond if each is not None}
            for key in hanging:  # those that name it are told of only where it has gone, not where its name has
                other = seen.get(key)
                if isinstance(other, Link) and other.index not in self.told.get(other.netns, {}):
                    renamed[key.netns].add(key.name)


def _read_by_key(key: Key) -> bool:
    return kinds()[key.kind].NAMED or kinds()[key.kind].DUMPED


def _compare(seen: Web, before: dict[Key, Nft]) -> None:
    """Have a table whose rules somebody has changed differ: its digest is in a comment, which stays as it is."""
    for key, old in before.items():
        new = seen.get(key)
        if isinstance(new, Nft) and new.digest == old.digest and new.rules != old.rules:
            seen.add(replace(new, digest=OTHER))


def _sysctls(wanted: Web, netns: str, link: str) -> list[Key]:
    """The sysctls that are wanted of a link, or where none is named of all that aren't of a link."""
    if link:
        return [key for key in wanted.hanging((netns, link)) if key.kind == Sysctl.KIND]
    return [value.key for value in wanted.of(Sysctl, netns) if value.link is None]


def is_silent(value: Thing) -> bool:
    """Whether nobody tells when it changes: files, most sysctls, proxied addresses, what goes on in a machine."""
    kind = kinds()[value.KIND]
    return kind.ASKED or ((kind.NAMED or kind.DUMPED) and not hasattr(value, "pid") and not isinstance(value, Nft))
