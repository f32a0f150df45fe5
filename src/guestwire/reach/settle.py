"""Waits until fresh IPv6 addresses may be used: duplicate address detection keeps them silent for up to two seconds.

A tentative address neither sends nor answers a neighbour solicitation (RFC 4862 5.4), so that a probe too early would
say "does not reach". The kernel waits up to 1 s at random and then 1 s a solicitation (`addrconf_dad_kick` in
net/ipv6/addrconf.c).
"""

from __future__ import annotations

import select
from collections.abc import Iterable
from time import monotonic

from guestwire.linux.kernel import Kernel
from guestwire.linux.netlink import NETLINK_ROUTE, Socket
from guestwire.linux.rtnetlink import IFF_LOWER_UP, dump_addresses, dump_links

__all__ = ["settle"]

_TENTATIVE, _FAILED, _OPTIMISTIC = 0x40, 0x08, 0x04  # IFA_F_*, include/uapi/linux/if_addr.h
_GROUP = 0x100  # RTMGRP_IPV6_IFADDR


def settle(kernel: Kernel, namespaces: Iterable[str], seconds: float = 3.0) -> None:
    """Wait until no address there is tentative on a link that has a carrier, at most so many seconds in all.

    Raises OSError where the kernel refuses to tell.
    """
    deadline = monotonic() + seconds
    for netns in namespaces:
        if not _tentative(kernel, netns):
            continue
        with kernel.inside(netns):
            news = Socket(NETLINK_ROUTE, _GROUP)
        arrival = select.poll()
        arrival.register(news.fileno(), select.POLLIN)
        try:
            while _tentative(kernel, netns) and (left := deadline - monotonic()) > 0:
                if arrival.poll(left * 1000):
                    news.events()
        finally:
            news.close()


def _tentative(kernel: Kernel, netns: str) -> bool:
    sock = kernel.socket(netns)
    fresh = {
        address.ifindex
        for address in dump_addresses(sock)
        if address.flags & _TENTATIVE and not address.flags & (_FAILED | _OPTIMISTIC)
    }
    return bool(fresh) and any(link.ifindex in fresh and link.flags & IFF_LOWER_UP for link in dump_links(sock))
