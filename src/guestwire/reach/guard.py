"""Guards whom a host reaches: its gateways, its DNS servers and the client of the ssh connection that we run under.

Measured before a change and after it; who answered before must answer after, by the same means. Who didn't answer
before says nothing, so nobody waits for one who never answers pings.

- A gateway is asked by ping, and by ARP or NDP where it doesn't answer that.
- A DNS server is asked for the root's name servers; any answer will do.
- The ssh client is asked by ping, or else its MAC or that of the gateway to it; from the address that the connection
  has, which must be ours yet. The state of the connection itself says nothing: TCP calls it established for minutes
  after the last cable is cut, and there is no asking the other end without writing into the connection.
"""

from __future__ import annotations

import contextlib
import ipaddress
import select
import socket
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, replace
from time import monotonic
from typing import Any

from guestwire.linux.kernel import Kernel
from guestwire.linux.routes import dump_routes, way_to
from guestwire.linux.surroundings import is_loopback
from guestwire.reach.contact import Contact, Inquiry, Means, inquiry

__all__ = ["Guard", "Guarded", "contacts"]

_BEFORE = 1.0  # seconds in which an answer counts
_BETTER = 0.3  # seconds that the better means gets once another has an answer
_AFTER = 5.0  # seconds in which who answered before must answer again: leases and links settle
_AGAIN = 0.3  # seconds until a question is asked once more, by the way that there is by then


@dataclass(frozen=True)
class Guarded:
    """A contact that answered before a change, and whether it does after; None where that wasn't measured."""

    contact: Contact
    means: Means
    after: bool | None = None
    why: str = ""

    def to_json(self) -> dict[str, Any]:
        """As JSON knows it."""
        return {
            "what": self.contact.role,
            "address": self.contact.address,
            "link": self.contact.link or None,
            "means": self.means,
            "before": True,
            "after": self.after,
            "why": self.why,
        }


class Guard:
    """The contacts of a host, the namespace `netns`; those that answer count from `before` on.

    `closing` are the links that are set down last of all, when the change has been judged: who answers by them is lost.
    """

    def __init__(self, kernel: Kernel, netns: str, wanted: Iterable[Contact], closing: Collection[str] = ()) -> None:
        self._kernel = kernel
        self._netns = netns
        self._wanted = tuple(dict.fromkeys(wanted))
        self._closing = closing
        self.guarded: tuple[Guarded, ...] = ()

    def before(self) -> tuple[Guarded, ...]:
        """Who answers now: in milliseconds where all do, else within a second. Raises nothing."""
        asked = {(contact, means): "" for contact in self._wanted for means in contact.means}
        heard = _Round(self._kernel, self._netns, asked, _BEFORE, best=True).heard if asked else {}
        self.guarded = tuple(
            Guarded(contact, means)
            for contact in self._wanted
            for means in contact.means
            if (contact, means) in heard and not any((contact, m) in heard for m in _better(contact, means))
        )
        return self.guarded

    def after(self, seconds: float = _AFTER) -> tuple[Guarded, ...]:
        """Who of them answers now, asked until all do or so many seconds are over."""
        asked = {(each.contact, each.means): "" for each in self.guarded}
        heard = _Round(self._kernel, self._netns, asked, seconds, best=False).heard if asked else {}
        silent = f"no answer within {seconds:g} s"
        self.guarded = tuple(
            replace(each, after=there, why="answered" if there else asked[each.contact, each.means] or silent)
            for each in self.guarded
            for there in [(each.contact, each.means) in heard]
        )
        if self._closing:
            self.guarded = tuple(self._by_what_stays(each) for each in self.guarded)
        return self.guarded

    def _by_what_stays(self, found: Guarded) -> Guarded:
        """Who answers by a link that is to be set down yet won't any more."""
        if not found.after:
            return found
        contact = _now(self._kernel, self._netns, found.contact)
        way = None if contact.link else way_to(self._kernel.socket(self._netns), contact.family, contact.address)
        with self._kernel.inside(self._netns):
            link = socket.if_indextoname(way.link) if way else contact.link
        if link not in self._closing:
            return found
        return replace(found, after=False, why=f"{link}, by which it answers, is set down at the end, as it was")


def _better(contact: Contact, means: Means) -> tuple[Means, ...]:
    return contact.means[: contact.means.index(means)]


def _now(kernel: Kernel, netns: str, contact: Contact) -> Contact:
    """A contact with a link-local address, on the link where the host's routes have it now."""
    if not contact.link:
        return contact
    found = [c for c in _gateways(kernel, netns) if c.address == contact.address]
    return found[0] if found else contact


class _Round:
    """Questions asked at once and heard by one poll; `heard` says of each that was answered when.

    Why a question can't be asked goes into `asked`.
    """

    def __init__(
        self, kernel: Kernel, netns: str, asked: dict[tuple[Contact, Means], str], seconds: float, *, best: bool
    ) -> None:
        self.heard: dict[tuple[Contact, Means], float] = {}
        self._kernel, self._netns, self._asked, self._best = kernel, netns, asked, best
        self._open: dict[int, tuple[tuple[Contact, Means], Inquiry]] = {}
        self._poll = select.poll()
        deadline = monotonic() + seconds
        try:
            while (now := monotonic()) < deadline and not self._is_over(now):
                self._send()
                again = min(deadline, monotonic() + _AGAIN)
                while (left := again - monotonic()) > 0 and not self._is_over(monotonic()):
                    self._hear(left)
        finally:
            for number in list(self._open):
                self._close(number)

    def _is_over(self, now: float) -> bool:
        """Whether nothing is waited for: all have answered, or by another means than the best some time ago.

        Where the `best` means is sought, who can't be asked isn't waited for either.
        """
        for (contact, means), why in self._asked.items():
            if (contact, means) in self.heard or (self._best and why):
                continue
            others = [self.heard[contact, m] for m in contact.means if (contact, m) in self.heard]
            better = self._best and any((contact, m) in self.heard for m in _better(contact, means))
            if not better and not (self._best and others and now - min(others) > _BETTER):
                return False
        return True

    def _send(self) -> None:
        """Ask who hasn't answered, each on a new socket: links and addresses may be others by now.

        Those before are still heard: somebody may be far away.
        """
        for contact, means in self._asked:
            if (contact, means) in self.heard:
                continue
            try:
                asking = inquiry(self._kernel, self._netns, _now(self._kernel, self._netns, contact), means)
                self._open[asking.sock.fileno()] = (contact, means), asking
                self._poll.register(asking.sock, select.POLLIN)
                asking.ask()
            except OSError as error:
                self._asked[contact, means] = f"it can't be asked: {error.strerror}"
            else:
                self._asked[contact, means] = ""

    def _hear(self, seconds: float) -> None:
        if not self._open:
            self._poll.poll(seconds * 1000)
            return
        for number, _ in self._poll.poll(seconds * 1000):
            key, asking = self._open[number]
            try:
                if not asking.answered():
                    continue
                self.heard[key] = monotonic()
            except OSError as error:  # told by ICMP
                self._asked[key] = f"{error.strerror}"
            self._close(number)

    def _close(self, number: int) -> None:
        with contextlib.suppress(KeyError):
            self._poll.unregister(number)
        self._open.pop(number)[1].sock.close()


def contacts(kernel: Kernel, netns: str, servers: Iterable[str], ssh: str = "") -> list[Contact]:
    """Whom a host must go on reaching: gateways by its routes, DNS `servers`, and the client of an ssh connection.

    `ssh` is what sshd says in SSH_CONNECTION: the client's address and port, and ours. Raises OSError where the routes
    can't be read.
    """
    found = list(_gateways(kernel, netns))
    for server in servers:
        address, _, link = server.partition("%")
        if not is_loopback(address):
            found.append(Contact("DNS server", address, link))
    words = ssh.split()
    if len(words) == 4 and not is_loopback(words[0].partition("%")[0]):
        address, _, link = words[0].partition("%")
        found.append(Contact("ssh client", address, link, "" if link else words[2]))
    return found


def _gateways(kernel: Kernel, netns: str) -> Iterator[Contact]:
    """The next hops of the default routes."""
    routes = [r for r in dump_routes(kernel.socket(netns)) if not r.prefix and r.gateway]
    with kernel.inside(netns):
        links = dict(socket.if_nameindex())
    for route in routes:
        local = ipaddress.ip_address(route.gateway).is_link_local
        yield Contact("gateway", route.gateway, links.get(route.oif, "") if local else "")
