"""Spares a big network its floods: who has answered one station is introduced to the others by the MAC that it gave.

On a bridge of 1,000 ports each ARP request costs about 1.8 ms of processor time, and all pairs would need a million. So
on such a network one station asks everybody first, as ever. To the others the neighbour is then given with its MAC in
the state NUD_PROBE, in which the kernel verifies it by a unicast request of its own (`neigh_timer_handler` in
net/core/neighbour.c): the neighbour still has to answer ARP to each, and the echo to each; only the request goes
another way. So a filter between two stations that stops broadcasts and nothing else isn't seen there. Who doesn't
answer is asked again with an empty table, by broadcast.
"""

from __future__ import annotations

import contextlib
import select
from collections.abc import Mapping, Sequence

from guestwire.linux.kernel import Kernel
from guestwire.linux.neighbours import NUD_PROBE, neighbour
from guestwire.linux.netlink import NLM_F_CREATE, NLM_F_EXCL, Request
from guestwire.linux.rtnetlink import RTM_NEWNEIGH
from guestwire.reach.probe import Probe

__all__ = ["Introductions"]

_TICKS = 10  # milliseconds: the kernel sends its requests at the next tick of its clock, at most 10 ms away (CONFIG_HZ)


class Introductions:
    """The MACs that addresses answered with so far."""

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel
        self._macs: dict[str, str] = {}

    def learn(self, resolved: Mapping[str, str]) -> None:
        """Take note of address and MAC of neighbours that answered."""
        self._macs.update(resolved)

    def make(self, probes: Sequence[Probe]) -> None:
        """Give each sender that names its link the MAC of whom it asks, where it is known and the sender has none.

        The entries are new, so whoever compares the table with before takes them back. A refusal is no error: the
        sender then asks by broadcast.
        """
        requests: dict[str, list[Request]] = {}
        for probe in probes:
            mac = self._macs.get(probe.target)
            if probe.link and mac is not None:
                with contextlib.suppress(OSError):  # a link that isn't there, say
                    requests.setdefault(probe.netns, []).append(self._request(probe, mac))
        for netns, entries in requests.items():
            self._kernel.socket(netns).transact(entries)
        if requests:
            select.poll().poll(_TICKS)

    def _request(self, probe: Probe, mac: str) -> Request:
        index = self._kernel.index(probe.netns, probe.link)
        body = neighbour(index, NUD_PROBE, address=probe.target, mac=mac)
        return Request(RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_EXCL, body)
