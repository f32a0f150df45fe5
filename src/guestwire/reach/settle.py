"""Waits until what is fresh may be used: IPv6 addresses after duplicate address detection, bridges' ports after STP.

A tentative address neither sends nor answers a neighbour solicitation (RFC 4862 5.4), so that a probe too early would
say "does not reach". The kernel waits up to 1 s at random and then 1 s a solicitation (`addrconf_dad_kick` in
net/ipv6/addrconf.c): up to two seconds. With STP a port forwards nothing for twice its bridge's forward delay, 15 s
(IEEE 802.1D).
"""

from __future__ import annotations

import select
from collections.abc import Callable, Iterable
from time import monotonic

from guestwire.linux.kernel import Kernel
from guestwire.linux.netlink import NETLINK_ROUTE, Socket, attributes
from guestwire.linux.rtnetlink import IFF_LOWER_UP, dump_addresses, dump_links

__all__ = ["forwarding", "settle"]

_TENTATIVE, _FAILED, _OPTIMISTIC = 0x40, 0x08, 0x04  # IFA_F_*, include/uapi/linux/if_addr.h
_LINKS, _ADDRESSES = 0x1, 0x100  # RTMGRP_LINK, RTMGRP_IPV6_IFADDR
_PORT_STATE, _ON_THEIR_WAY = 1, (b"\1", b"\2")  # IFLA_BRPORT_STATE; listening, learning (linux/if_bridge.h)


def settle(kernel: Kernel, namespaces: Iterable[str], seconds: float = 3.0) -> None:
    """Wait until no address there is tentative on a link that has a carrier, at most so many seconds in all.

    Raises OSError where the kernel refuses to tell.
    """
    _wait(kernel, namespaces, _tentative, _ADDRESSES, seconds)


def forwarding(kernel: Kernel, namespaces: Iterable[str], seconds: float = 35.0) -> None:
    """Wait until no bridge's port there is on its way to forwarding, at most so many seconds. Raises as above."""
    _wait(kernel, namespaces, _on_its_way, _LINKS, seconds)


def _wait(
    kernel: Kernel, namespaces: Iterable[str], unsettled: Callable[[Kernel, str], bool], group: int, seconds: float
) -> None:
    deadline = monotonic() + seconds
    for netns in namespaces:
        if not unsettled(kernel, netns):
            continue
        with kernel.inside(netns):
            news = Socket(NETLINK_ROUTE, group)
        arrival = select.poll()
        arrival.register(news.fileno(), select.POLLIN)
        try:
            while unsettled(kernel, netns) and (left := deadline - monotonic()) > 0:
                if arrival.poll(left * 1000):
                    news.events()
        finally:
            news.close()


def _on_its_way(kernel: Kernel, netns: str) -> bool:
    return any(
        link.slave_kind == "bridge" and attributes(link.slave_data).get(_PORT_STATE) in _ON_THEIR_WAY
        for link in dump_links(kernel.socket(netns))
    )


def _tentative(kernel: Kernel, netns: str) -> bool:
    sock = kernel.socket(netns)
    fresh = {
        address.ifindex
        for address in dump_addresses(sock)
        if address.flags & _TENTATIVE and not address.flags & (_FAILED | _OPTIMISTIC)
    }
    return bool(fresh) and any(link.ifindex in fresh and link.flags & IFF_LOWER_UP for link in dump_links(sock))
