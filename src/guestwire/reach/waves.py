"""Measures any number of probes in waves that fit the neighbour table, three times where nobody answers.

A wave ends as soon as all have answered. Who was silent is asked again with the rest of its kind, in a fresh wave whose
neighbours are resolved anew, so that one lost ARP request or an overrun queue is no verdict.
"""

from __future__ import annotations

import resource
import select
from array import array
from collections import deque
from collections.abc import Callable, Collection, Iterable, Sequence
from time import monotonic
from typing import NamedTuple

from guestwire.errors import Unavailable
from guestwire.linux.kernel import Kernel
from guestwire.reach.echo import Echo
from guestwire.reach.introductions import Introductions
from guestwire.reach.neighbours import Footprint, Table, next_hops, read_table
from guestwire.reach.ports import PortProbes
from guestwire.reach.probe import FULL, Answer, Probe, unresolved_error
from guestwire.reach.station import FAMILIES, Family

__all__ = ["PATIENCE", "Surroundings", "measure"]

PATIENCE = 2.0
"""Seconds in which an answer is waited for.

A round trip inside a machine takes a millisecond, so this leaves room for three askings, the last with time for the
kernel's own second ARP request, which comes after 1 s. It can be less than the 3 s after which ARP gives up
(mcast_solicit times retrans_time_ms), since that a neighbour is silent can be read from the table before.
"""

_ATTEMPTS = 3
_FIRST, _SECOND, _LEAST = 0.1, 0.2, 0.3  # seconds of silence that end the first, the second, at least the last asking
_FEW, _SHARE = 100, 0.6
"""So few, who are one wave, have at least this share of the time in their last asking, however long the others took:
on a busy machine nearly all of it may be over by then, and who answers for others takes .8 s over it (proxy_delay).
"""
_RESEND = 0.3  # seconds
_SMALLEST = 8  # entries; a table that hasn't even these to spare lets nothing be measured
_AGE = 6.0  # seconds that a table may go on being full: after 5 s unused an entry makes way (neigh_forced_gc)
_PAUSE = 0.1  # seconds
_SOCKETS = 256  # open at a time, where the limit of open files isn't lower
_BLIND_SHRINK = 2  # where the table can't be seen, those who were silent are asked again in waves so much smaller


class Surroundings(NamedTuple):
    """What is known of the network that probes go through."""

    addresses: frozenset[str] = frozenset()
    """The addresses that neighbour entries of a probe can be of, beside those of routers that routes name."""
    routers: tuple[str, ...] = ()
    """Namespaces that packets may pass on their way."""


def measure(
    kernel: Kernel,
    numbers: Iterable[int],
    probe: Callable[[int], Probe],
    record: Callable[[int, Answer], None],
    around: Surroundings,
    timeout: float = PATIENCE,
) -> None:
    """Ask `probe(n)` for each of the `numbers`, and `record(n, answer)` each once, in no given order.

    Both are called when needed, so that millions of probes need no more memory than their answers; `timeout` is in
    seconds. At the end, also after an error, every dynamic neighbour entry that the probes caused is gone, and every
    socket closed. Raises Unavailable where the neighbour table has no room and gets none within seconds, OSError where
    the kernel refuses to look, or to open a socket.
    """
    run = _Run(kernel, probe, record, around, timeout)
    try:
        run.all(numbers)
    finally:
        run.close()


class _Asked(NamedTuple):
    number: int
    probe: Probe


class _Stream:
    """The probes still to ask, cut into waves."""

    def __init__(self, numbers: Iterable[int], probe: Callable[[int], Probe], sockets: int) -> None:
        self._next = (_Asked(number, probe(number)) for number in numbers)
        self._back: deque[_Asked] = deque()
        self._most = sockets // 2  # a namespace needs a socket a family; a port probe one, and one that listens

    def put_back(self, asked: Sequence[_Asked]) -> None:
        """Have these asked again, before the others."""
        self._back.extendleft(reversed(asked))

    def cut(self, room: dict[Family, int]) -> list[_Asked]:
        """The next probes, all echo or all ports, as many as there is room for in neighbour entries; at least one."""
        wave: list[_Asked] = []
        left = dict(room)
        meetings: dict[tuple[Family, str, str], str] = {}  # who met whom, and which of the two asked
        senders: set[str] = set()
        while asked := self._back.popleft() if self._back else next(self._next, None):
            probe = asked.probe
            here, there = probe.netns, probe.target if probe.answerer is None else probe.answerer
            meeting = (probe.family, here, there) if here < there else (probe.family, there, here)
            cost = 0 if meeting in meetings else _cost(probe)
            echo = probe.proto == "icmp"
            crowded = len(senders | {here}) > self._most if echo else len(wave) >= self._most
            # Asked back in the same wave it would find the entry that being asked has made, and so not be asked cold.
            back = not probe.link and meetings.get(meeting, here) != here
            if wave and (back or cost > left[probe.family] or crowded or echo != (wave[0].probe.proto == "icmp")):
                self._back.appendleft(asked)
                break
            meetings[meeting] = here
            senders.add(here)
            left[probe.family] -= cost
            wave.append(asked)
        return wave


def _cost(probe: Probe) -> int:
    """Neighbour entries that a probe and the one the other way make together.

    One at each end; for IPv6 besides the solicited-node group at one or, where they are introduced, the link-local
    address of each.
    """
    if probe.family == 4:
        return 2
    return 4 if probe.link else 3


class _Run:
    def __init__(
        self,
        kernel: Kernel,
        probe: Callable[[int], Probe],
        record: Callable[[int, Answer], None],
        around: Surroundings,
        timeout: float,
    ) -> None:
        self._kernel = kernel
        self._probe = probe
        self._record = record
        self._routers = around.routers
        self._timeout = timeout
        self._addresses = set(around.addresses)
        self._hops: dict[str, frozenset[str]] = {}
        self._sockets = min(_SOCKETS, resource.getrlimit(resource.RLIMIT_NOFILE)[0] // 16)
        self._echo = Echo(kernel, self._sockets)
        self._ports = PortProbes(kernel)
        self._introductions = Introductions(kernel)
        self._scale = 1.0  # of the room that there seems to be
        self._full_since = 0.0
        self._last_wave = 0.0

    def close(self) -> None:
        self._echo.close()

    def all(self, numbers: Iterable[int]) -> None:
        first_asked = 0.0  # when the last of them was asked for the first time
        for attempt, seconds in enumerate((_FIRST, _SECOND)):
            silent = array("q")
            self._round(numbers, attempt, seconds, silent)
            first_asked = first_asked or self._last_wave
            numbers = silent
        if silent:
            self._round(silent, _ATTEMPTS - 1, self._left(silent, first_asked), None)

    def _left(self, silent: Collection[int], first_asked: float) -> float:
        """Seconds for the last asking of those who were silent so far."""
        least = max(_LEAST, _SHARE * self._timeout) if len(silent) <= _FEW else _LEAST
        return max(least, self._timeout - (monotonic() - first_asked))

    def _round(self, numbers: Iterable[int], attempt: int, patience: float, silent: array[int] | None) -> None:
        stream = _Stream(numbers, self._probe, self._sockets)
        while True:
            tables = {family: read_table(family) for family in FAMILIES}
            wave = stream.cut({family: self._room(table, attempt) for family, table in tables.items()})
            if not wave:
                return
            answers, full = self._wave([asked.probe for asked in wave], patience, tables, introduce=attempt == 0)
            again = []
            for asked, answer in zip(wave, answers, strict=True):
                if answer.reached:
                    self._record(asked.number, answer)
                elif asked.probe.family in full:
                    again.append(asked)
                elif silent is None:
                    self._record(asked.number, answer)
                else:
                    silent.append(asked.number)
            self._adapt(tables, full, bool(again))
            stream.put_back(again)

    def _room(self, table: Table, attempt: int) -> int:
        shrink = 1 if table.visible else _BLIND_SHRINK**attempt
        return max(_SMALLEST, int(table.room * self._scale) // shrink)

    def _adapt(self, tables: dict[Family, Table], full: set[Family], again: bool) -> None:
        """Make the next waves smaller where a table was full, larger again where not."""
        if not again:
            self._scale = min(1.0, self._scale * 1.5)
            self._full_since = 0.0
            return
        now = monotonic()
        self._full_since = self._full_since or now
        self._scale /= 2
        if now - self._full_since > _AGE:
            table = tables[min(full)]
            raise Unavailable(
                f"the kernel's IPv{table.family} neighbour table is full, so that who reaches whom can't be measured: "
                f"it holds {table.hard} entries for all namespaces together.",
                hint=f"In the initial namespace, `sysctl -w {table.setting}={table.hard * 8}` makes room.",
            )
        # Others' entries become free for the taking as they age; nothing tells when.
        select.poll().poll(_PAUSE * 1000)

    def _wave(
        self, probes: Sequence[Probe], patience: float, tables: dict[Family, Table], introduce: bool
    ) -> tuple[list[Answer], set[Family]]:
        """The answers, and the families whose table was full meanwhile."""
        self._last_wave = monotonic()
        engine: Echo | PortProbes = self._echo if probes[0].proto == "icmp" else self._ports
        named = [probe.netns for probe in probes]
        named += [probe.answerer for probe in probes if probe.answerer is not None]
        namespaces = tuple(dict.fromkeys((*named, *self._routers)))
        for netns in namespaces:
            if netns not in self._hops:
                self._hops[netns] = next_hops(self._kernel, netns)
                self._addresses |= self._hops[netns]
        footprint = Footprint(self._kernel, namespaces, self._addresses)
        unresolved: set[tuple[str, str]] = set()
        try:
            if introduce:
                self._introductions.make(probes)
            found = engine.run(probes, patience, _RESEND)
        finally:
            unresolved = footprint.take_back()
        self._introductions.learn(footprint.resolved)
        grew = {f for f, table in tables.items() if table.visible and read_table(f).fulls != table.fulls}
        blind = {f for f, table in tables.items() if not table.visible}
        full = grew | {probes[place].family for place, answer in found.items() if answer is FULL} & blind
        return [self._explained(found.get(i), probe, unresolved) for i, probe in enumerate(probes)], full

    def _explained(self, found: Answer | None, probe: Probe, unresolved: set[tuple[str, str]]) -> Answer:
        """The answer, or why there was none so far as the neighbour tables tell."""
        if found is not None and found.reached is not None:
            return found
        netns, target, family = probe.netns, probe.target, probe.family
        if unresolved:
            for neighbour in (target, *self._hops[netns]):
                if (netns, neighbour) in unresolved:
                    return unresolved_error(neighbour, target, family)
            if any((router, target) in unresolved for router in self._routers):
                return unresolved_error(target, target, family)
        return found or Answer(False, f"no answer from {target} within {self._timeout:g} s")
