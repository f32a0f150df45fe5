"""Knows when what was torn down is really gone: the host's links, and the namespaces behind them."""

import os
import select
import time

from . import wire
from .private import CLONE_NEWNET, LIBC, Failed, check

GROUP_LINK, PATIENCE = 1, 180.0
HERE = "/proc/self/ns/net"


class Watch:
    """Made before the build; `wait` after the tear-down says when the last link had gone.

    Namespaces die in the kernel's own time, one batch of them after another, and nothing tells of it. So two markers,
    each a namespace with a veth into the host, are let go after the guests': once the first one's link is gone, the
    links of all namespaces let go before it are; once the second one's is, their batch is wholly done.
    """

    def __init__(self) -> None:
        self._host = wire.open_rtnetlink()
        self._news = wire.open_rtnetlink(GROUP_LINK)
        self._news.setblocking(False)
        self._markers = {name: self._marker(name) for name in ("mark1", "mark2")}
        self._before = set(wire.link_names(self._host))

    def _marker(self, name: str) -> int:
        home = os.open(HERE, os.O_RDONLY)
        check(LIBC.unshare(CLONE_NEWNET), "unshare")
        netns = os.open(HERE, os.O_RDONLY | os.O_CLOEXEC)
        check(LIBC.setns(home, CLONE_NEWNET), "setns")
        os.close(home)
        peer = wire.link(wire.string(wire.IFNAME, "eth0"), wire.attr32(wire.NET_NS_FD, netns))
        info = wire.string(wire.INFO_KIND, "veth") + wire.attr(wire.INFO_DATA, wire.attr(wire.PEER, peer))
        link = wire.link(wire.string(wire.IFNAME, name), wire.attr(wire.LINKINFO, info))
        wire.send(self._host, [wire.message(wire.NEWLINK, link, wire.CREATE | wire.EXCL)])
        return netns

    def links(self) -> int:
        """How many links the host has that it had not before."""
        return len(set(wire.link_names(self._host)) - self._before)

    def wait(self, began: float) -> dict[str, float]:
        """Seconds since `began`: until every link had gone, and until the namespaces were dead."""
        os.close(self._markers.pop("mark1"))
        self._until({"mark1"}, began)
        gone = time.perf_counter() - began
        os.close(self._markers.pop("mark2"))
        self._until({"mark2"}, began)
        self._host.close()
        self._news.close()
        return {"down": gone, "dead": time.perf_counter() - began}

    def _until(self, markers: set[str], began: float) -> None:
        while True:
            self._drain()
            names = set(wire.link_names(self._host))
            left = (names - self._before) | (names & markers)
            if not left:
                return
            if time.perf_counter() - began > PATIENCE:
                raise Failed(f"{len(left)} links were left after {PATIENCE:.0f} s, {min(left)} among them")
            select.select([self._news], [], [], 1.0)  # woken by the next announcement of the kernel

    def _drain(self) -> None:
        while True:
            try:
                self._news.recv(1 << 20)
            except BlockingIOError:
                return
            except OSError:  # ENOBUFS: more announcements than the socket holds, which is news enough
                continue
