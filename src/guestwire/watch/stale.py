"""What of the picture may have changed and is to be read again, as far as events tell."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from guestwire.kinds import Link, Thing, kinds
from guestwire.kinds.namespace import Namespace
from guestwire.kinds.nft import Nft
from guestwire.kinds.sysctl import Sysctl
from guestwire.linux.monitor import ADDRESS, DOWN, LINK, NETCONF, ROUTE, TABLE, Event
from guestwire.observe import Again
from guestwire.picture import Key
from guestwire.watch.web import Web

__all__ = ["Stale"]

OTHER = "0"  # the digest of rules that are none of ours


@dataclass
class Stale:
    """Names of links by namespace, namespaces whose addresses and routes, and keys that are to be read again.

    `touched` are the keys of what we have changed ourselves: what is there then counts as news, though it is as before.

    `everything` where events were lost, so that nothing but a look at all of it helps.
    """

    links: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    addresses: set[str] = field(default_factory=set)
    keys: set[Key] = field(default_factory=set)
    namespaces: set[str] = field(default_factory=set)
    touched: set[Key] = field(default_factory=set)
    everything: bool = False

    def __bool__(self) -> bool:
        return bool(self.everything or self.links or self.addresses or self.keys or self.namespaces)

    def note(self, events: Iterable[Event], seen: Web, wanted: Web) -> None:
        """Take note of events, as far as they are about what is seen or wanted."""
        numbers: dict[str, dict[int, str]] = {}
        dumped: set[str] = set()
        for netns, what, index, name in events:
            if netns not in seen.scope:
                continue
            if what == TABLE:
                self.keys.update(key for key in [Key("", netns, Nft.KIND, name)] if key in wanted)
                continue
            if netns not in numbers:
                numbers[netns] = {link.index: link.name for link in seen.of(Link, netns)}
            link = numbers[netns].get(index, "")
            if what == DOWN:
                self.addresses.add(netns)
            if what in (LINK, DOWN):
                # Under a new name, it may be two: the one that was called so, and the one that is now.
                self.links[netns].update(each for each in (link, name) if each and each != "lo")
            elif what in (ADDRESS, ROUTE):
                self.addresses.add(netns)
            elif what == NETCONF:
                self.keys.update(_sysctls(wanted, netns, link if index > 0 else ""))
            else:
                dumped.add(netns)
        for netns in dumped:
            self.keys.update(value.key for value in wanted.of(Thing, netns) if value.DUMPED)

    def touch(self, values: Iterable[Thing]) -> None:
        """Have what was just changed by a plan read again."""
        for value in values:
            self.touched.add(value.key)
            if isinstance(value, Namespace):
                self.namespaces.add(value.name)
            elif isinstance(value, Link):
                self.links[value.netns].add(value.name)
            elif _read_by_key(value.key):
                self.keys.add(value.key)
            else:
                self.addresses.add(value.netns)

    def renew(self, again: Again, seen: Web, wanted: Web) -> None:
        """Read it all again; what has changed is in `again.changed`."""
        for netns in sorted(self.namespaces):
            if again.namespace(netns):
                self.links[netns].update(link.name for web in (seen, wanted) for link in web.of(Link, netns))
                self.addresses.add(netns)
                self.keys.update(key for key in wanted.inside(netns) if _read_by_key(key))
        renamed: dict[str, set[str]] = defaultdict(set)
        for old, new in again.links(self.links):
            self._follow(old, new, seen, wanted, renamed)
        for old, new in again.links(renamed):
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
        if not (same and old and new and old.up == new.up):
            self.addresses.add(link.netns)
        if not same:
            hanging = {*seen.hanging((link.netns, link.name)), *wanted.hanging((link.netns, link.name))}
            self.keys.update(key for key in hanging if _read_by_key(key))
            beyond = [seen.link(place) for place in link.on_links()] if old is None else []
            hanging |= {other.key for other in beyond if other is not None}
            for key in hanging:  # those that name it are told of only where it has gone, not where its name has
                if key.name not in self.links[key.netns] and isinstance(seen.get(key), Link):
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
