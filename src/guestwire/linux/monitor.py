"""What the kernel tells of changes, of many namespaces by one socket each for rtnetlink and nftables.

A socket with NETLINK_LISTEN_ALL_NSID hears of every namespace for which its own has a number, and each message comes
with that number (do_one_broadcast in net/netlink/af_netlink.c). So a thousand namespaces cost two descriptors, and none
is held: one that somebody ends can end. The kernel gives a number where a veth leads across; else it is asked for one.

Whoever is told too much at once loses some of it (ENOBUFS), and must look for himself. Of neighbours, which come and go
by themselves all the time, a filter in the kernel lets only those through that somebody has set.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import socket
import struct
import sys
from collections.abc import Iterator
from typing import NamedTuple

from guestwire.linux import namespaces
from guestwire.linux.netlink import NETLINK_NETFILTER, NETLINK_ROUTE, Request, Socket, attribute, attributes, u32
from guestwire.linux.nftables import FAMILIES, NFNL_SUBSYS_NFTABLES, NFTA_TABLE_NAME
from guestwire.linux.rtnetlink import AF_BRIDGE, IFF_UP, RTM_NEWLINK, namespace_id

__all__ = [
    "ADDRESS",
    "DOWN",
    "GONE",
    "LINK",
    "NEIGHBOUR",
    "NETCONF",
    "PORT",
    "ROUTE",
    "RULE",
    "TABLE",
    "Event",
    "Monitor",
]

LINK, DOWN, GONE, PORT, ADDRESS = "link", "down", "gone", "port", "address"
ROUTE, RULE, NEIGHBOUR, NETCONF, TABLE = "route", "rule", "neighbour", "netconf", "table"
# include/uapi/linux/rtnetlink.h: groups count from 1, and the mask that a socket is bound to has a bit for each.
GROUPS = {1, 3, 5, 7, 8, 9, 11, 19, 24, 25, 28}
"""Links, neighbours, and for both families addresses, routes, rules, netconf; numbers of namespaces."""
NFNLGRP_NFTABLES = 7
RTM_NEWNSID, RTM_DELNSID, NETNSA_NSID, NETNSA_FD, ANY = 88, 89, 1, 3, -1
NETCONFA_IFINDEX = 1
IFLA_WIRELESS = 11
"""What Wi-Fi's old interface tells of a scan, say, in a message that has the link's name and nothing else of it
(rtnetlink_ifinfo_prep, net/wireless/wext-core.c)."""
WHOLE = 600  # bytes: with its counters alone a link's own message has more
RTPROT_KERNEL = 2
SOL_NETLINK, NETLINK_LISTEN_ALL_NSID = 270, 8
SO_RCVBUFFORCE, SO_ATTACH_FILTER = 33, 26
QUEUE = 32 << 20  # bytes that the kernel keeps for us: the end of a bridge with 1,000 ports is some 5,000 messages
MOST = 20_000  # messages that one call takes, so that a storm doesn't keep us from looking

_HEADER, _INT, _IFINFO = struct.Struct("=IHHII"), struct.Struct("=i"), struct.Struct("=BxxxiI")
_KINDS = {
    **dict.fromkeys((16, 17), LINK),
    **dict.fromkeys((20, 21), ADDRESS),
    **dict.fromkeys((24, 25), ROUTE),
    **dict.fromkeys((28, 29), NEIGHBOUR),
    **dict.fromkeys((32, 33), RULE),
    **dict.fromkeys((80, 81), NETCONF),
}


class Event(NamedTuple):
    """Something has changed in a namespace: of what kind, and of which link by its number, 0 where it is of none.

    Of a LINK `body` is the message that tells what it is now (`parse_link`). DOWN is one that isn't up: IPv4 routes out
    of it have gone then without a word, though it may be up again by the time that somebody looks. GONE is one that is
    no more, PORT one whose options and VLANs as a bridge's port, or as a bridge, are those in `body`. For NETCONF the
    number is -1 for all links, -2 for those to come. For TABLE `body` is its name as nft(8) says it, "inet filter".
    """

    netns: str
    what: str
    number: int = 0
    body: bytes = b""


class Monitor:
    """Hears of changes in the namespace it is made in, "", and in those that it is told of."""

    def __init__(self) -> None:
        home = namespaces.current()
        self._home, self._own = namespaces.identity(home), ""
        self._asking = Socket()
        self._names: dict[int, str] = {}
        self._known: dict[str, tuple[int, int]] = {}
        os.close(home)
        route = _listening(NETLINK_ROUTE, sum(1 << group - 1 for group in GROUPS))
        _drop_learnt(route)
        self._sockets = {route: _route_event}
        with contextlib.suppress(OSError):  # a kernel without nftables
            self._sockets[_listening(NETLINK_NETFILTER, 1 << NFNLGRP_NFTABLES - 1)] = _table_event

    def close(self) -> None:
        """Hear no more."""
        self._asking.close()
        for sock in self._sockets:
            sock.close()

    def filenos(self) -> list[int]:
        """The descriptors that are readable when there is news."""
        return [sock.fileno() for sock in self._sockets]

    def learn(self, name: str, fd: int) -> None:
        """Hear of the namespace `fd` from now on, as `name`. Raises NetlinkError where it can't be given a number."""
        identity = namespaces.identity(fd)
        if identity == self._home:
            self._own = name
            return
        number, known = self._known.get(name, (0, 0))
        if known == identity and self._names.get(number) == name:
            return
        found = namespace_id(self._asking, fd)
        if found is None:
            body = bytes(4) + attribute(NETNSA_NSID, _INT.pack(ANY)) + u32(NETNSA_FD, fd)
            refused = self._asking.transact([Request(RTM_NEWNSID, 0, body)])
            found = namespace_id(self._asking, fd)
            if found is None:
                raise refused[0]
        self._names[found], self._known[name] = name, (found, identity)

    def forget(self, name: str) -> None:
        """Hear no more of the namespace called so: it has ended."""
        number, _ = self._known.pop(name, (ANY, 0))
        if self._names.get(number) == name:
            del self._names[number]

    def numbers(self) -> dict[tuple[str, int], str]:
        """Which of the namespaces that it was told of its own knows by which number, as (its own's name, number)."""
        return {(self._own, number): name for number, name in self._names.items()}

    def events(self) -> list[Event]:
        """What has changed since the last call, in order.

        Raises OSError (ENOBUFS) where some of it was lost; then all namespaces are to be learnt again.
        """
        found: list[Event] = []
        lost = None
        for sock, parse in self._sockets.items():
            try:
                for number, kind, body in _messages(sock):
                    netns = self._own if number is None else self._names.get(number)
                    if netns is not None and (event := parse(netns, kind, body)) is not None:
                        found.append(event)
                    elif kind == RTM_DELNSID and number is None:
                        self._names.pop(_INT.unpack(attributes(body, 4)[NETNSA_NSID])[0], None)
            except OSError as error:
                if error.errno != errno.ENOBUFS:
                    raise
                lost = error
                # Until all is read it drops what comes without a word (netlink_overrun).
                with contextlib.suppress(OSError):
                    for _ in _messages(sock):
                        pass
        if lost is not None:
            self._names.clear()  # one may have ended unheard, and its number, or its inode, be another's by now
            self._known.clear()
            raise lost
        return found


def _listening(protocol: int, groups: int) -> socket.socket:
    sock = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK, protocol)
    try:
        try:
            sock.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, QUEUE)
        except PermissionError:  # in a user namespace
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, QUEUE)
        sock.setsockopt(SOL_NETLINK, NETLINK_LISTEN_ALL_NSID, 1)
        sock.bind((0, groups))
    except OSError:
        sock.close()
        raise
    return sock


def _drop_learnt(sock: socket.socket) -> None:
    """Let of what is told of neighbours only the static ones pass, and those that go (bpf(4), as packet filters are).

    The state is two bytes at 8 of the message behind its header (struct ndmsg). One that somebody deletes is told as
    failed.
    """
    state, deleted, added = 24, _swapped(29), _swapped(28)
    static, failed = _swapped(0x80 | 0x40), _swapped(0x80 | 0x40 | 0x20)  # NUD_PERMANENT, NUD_NOARP, NUD_FAILED
    ldh, jeq, jset, ret = 0x28, 0x15, 0x45, 0x06
    program = [
        (ldh, 0, 0, 4),  # the message's type
        (jeq, 2, 0, added),
        (jeq, 3, 0, deleted),
        (ret, 0, 0, 0xFFFFFFFF),
        (ldh, 0, 0, state),
        (jset, 3, 2, static),
        (ldh, 0, 0, state),
        (jset, 1, 0, failed),
        (ret, 0, 0, 0),
        (ret, 0, 0, 0xFFFFFFFF),
    ]
    code = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *line) for line in program))
    sock.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, struct.pack("@HP", len(program), ctypes.addressof(code)))


def _swapped(number: int) -> int:
    """Two bytes as a filter loads them: it takes all for the network's order."""
    return number if sys.byteorder == "big" else (number & 0xFF) << 8 | number >> 8


def _messages(sock: socket.socket) -> Iterator[tuple[int | None, int, bytes]]:
    """What has come: the number of the namespace it is of (None: the socket's own), type and body of each message."""
    for _ in range(MOST):
        try:
            data, beside, _, (sender, _) = sock.recvmsg(1 << 16, 64)
        except BlockingIOError:
            return
        if sender:
            continue  # not the kernel: who is root in a guest can tell us what he likes
        number = None
        for level, kind, content in beside:
            if (level, kind) == (SOL_NETLINK, NETLINK_LISTEN_ALL_NSID):
                number = _INT.unpack(content)[0]
        offset, end = 0, len(data)
        while offset + 16 <= end:
            size, kind, _, _, _ = _HEADER.unpack_from(data, offset)
            if size < 16:
                break
            yield number, kind, data[offset + 16 : offset + size]
            offset += (size + 3) & ~3


def _route_event(netns: str, kind: int, body: bytes) -> Event | None:
    what = _KINDS.get(kind)
    if what is None or (what == ROUTE and body[5] == RTPROT_KERNEL):
        return None
    if what == LINK:
        return _link_event(netns, kind, body)
    if what in (ADDRESS, NEIGHBOUR):
        return Event(netns, what, _INT.unpack_from(body, 4)[0])
    if what == NETCONF:
        index = attributes(body, 4, {NETCONFA_IFINDEX}).get(NETCONFA_IFINDEX)
        return Event(netns, what, _INT.unpack(index)[0] if index else ANY)
    return Event(netns, what)


def _link_event(netns: str, kind: int, body: bytes) -> Event | None:
    family, index, flags = _IFINFO.unpack_from(body)
    if family == AF_BRIDGE:  # what goes is told of once more, of the other families
        return Event(netns, PORT, index, body) if kind == RTM_NEWLINK else None
    if kind != RTM_NEWLINK:
        return Event(netns, GONE, index)
    if len(body) < WHOLE and IFLA_WIRELESS in attributes(body, 16, {IFLA_WIRELESS}):
        return None
    return Event(netns, LINK if flags & IFF_UP else DOWN, index, body)


def _table_event(netns: str, kind: int, body: bytes) -> Event | None:
    # A table's name has the same number in what is told of chains, rules and sets as in what is told of tables.
    name = attributes(body, 4, {NFTA_TABLE_NAME}).get(NFTA_TABLE_NAME, b"") if len(body) >= 4 else b""
    if kind >> 8 != NFNL_SUBSYS_NFTABLES or body[0] not in FAMILIES or not name.endswith(b"\0"):
        return None
    return Event(netns, TABLE, 0, FAMILIES[body[0]].encode() + b" " + name[:-1])
