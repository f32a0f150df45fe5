"""ICMP echo from inside many namespaces at once: one raw socket a namespace and family, one epoll, one thread.

Raw sockets, since ping sockets are closed to everybody in a new namespace (net.ipv4.ping_group_range is "1 0"), to root
too. The kernel's filter leaves echo replies only (raw(7), RFC 3542 3.2). A reply counts when it brings back our number
from the address that was asked.
"""

from __future__ import annotations

import random
import select
import socket
import struct
from collections import OrderedDict, deque
from collections.abc import Sequence
from time import monotonic

from guestwire.linux.kernel import Kernel
from guestwire.reach.probe import Answer, Probe, icmp_error
from guestwire.reach.sockets import DOMAIN, hear_errors, sending_failed, unreachables
from guestwire.reach.station import Family

__all__ = ["REPLY", "Echo", "echo_request", "raw_socket"]

# include/uapi/linux/{icmp,icmpv6}.h
_SOL_RAW, _ICMP_FILTER, _ICMPV6_FILTER = 255, 1, 1
_REQUEST: dict[Family, int] = {4: 8, 6: 128}
REPLY: dict[Family, int] = {4: 0, 6: 129}

_PACKET = struct.Struct("!BBHHHII")  # type, code, checksum, id, sequence; then the wave's number and the probe's
_NUMBERS = struct.Struct("!II")
_WINDOW = 64  # probes under way: each may be an ARP flood of a bridge, and net.core.netdev_max_backlog is 1,000 packets
_STALL = 0.005  # seconds without news after which the window opens again: those under way may never be answered
_BUFFER = 1 << 20  # bytes of a receive buffer, so far as net.core.rmem_max allows


class Echo:
    """The raw sockets, kept open from wave to wave, at most `sockets` of them."""

    def __init__(self, kernel: Kernel, sockets: int) -> None:
        self._kernel = kernel
        self._most = sockets
        self._open: OrderedDict[tuple[str, Family], socket.socket] = OrderedDict()
        self._owners: dict[int, tuple[str, Family]] = {}
        self._epoll = select.epoll()

    def close(self) -> None:
        """Close every socket."""
        for sock in self._open.values():
            sock.close()
        self._open.clear()
        self._owners.clear()
        self._epoll.close()

    def run(self, wave: Sequence[Probe], patience: float, resend: float) -> dict[int, Answer]:
        """Send the wave's probes; the answers by place in the wave. Who is silent is in none.

        Returns when all are answered or `patience` seconds have passed since the last was sent; each answer that comes
        grants at least the time of a `resend` more, so that a busy machine isn't taken for a silent one.
        One that the kernel had no room for has the answer FULL.
        """
        return _Exchange(self, wave).run(patience, resend)

    def socket(self, netns: str, family: Family) -> socket.socket:
        """The socket of that namespace and family, made where there is none; the longest unused gives way."""
        key = (netns, family)
        found = self._open.get(key)
        if found is not None:
            self._open.move_to_end(key)
            return found
        if len(self._open) >= self._most:
            _, oldest = self._open.popitem(last=False)
            del self._owners[oldest.fileno()]
            oldest.close()  # which takes it out of the epoll
        found = self._open[key] = raw_socket(self._kernel, netns, family)
        self._owners[found.fileno()] = key
        self._epoll.register(found.fileno(), select.EPOLLIN)
        return found

    def ready(self, seconds: float) -> list[tuple[str, Family, bool]]:
        """Namespace and family of each socket that has something, and whether it is an error."""
        events = self._epoll.poll(max(seconds, 0.0))
        return [(*self._owners[fd], bool(event & select.EPOLLERR)) for fd, event in events]

    def failed(self, probe: Probe, error: OSError) -> Answer:
        """What a refusal to send says."""
        return sending_failed(self._kernel, probe, error)


def raw_socket(kernel: Kernel, netns: str, family: Family, wanted: int | None = None) -> socket.socket:
    """A raw socket of ICMP that gets one type of message, echo replies where none is `wanted`."""
    wanted = REPLY[family] if wanted is None else wanted
    kind = socket.SOCK_RAW | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC
    with kernel.inside(netns):
        sock = socket.socket(DOMAIN[family], kind, socket.IPPROTO_ICMP if family == 4 else socket.IPPROTO_ICMPV6)
    if family == 4:
        sock.setsockopt(_SOL_RAW, _ICMP_FILTER, struct.pack("=I", 0xFFFFFFFF ^ 1 << wanted))
    else:
        blocked = [0xFFFFFFFF] * 8
        blocked[wanted >> 5] ^= 1 << (wanted & 31)
        sock.setsockopt(socket.IPPROTO_ICMPV6, _ICMPV6_FILTER, struct.pack("=8I", *blocked))
    hear_errors(sock, family)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER)
    return sock


def _checksum(packet: bytes) -> int:
    total: int = sum(struct.unpack("!8H", packet))
    total = (total >> 16) + (total & 0xFFFF)
    return ~(total + (total >> 16)) & 0xFFFF


def echo_request(family: Family, nonce: int, number: int) -> bytes:
    """An echo request with these numbers in it, which its reply brings back."""
    fields = (nonce & 0xFFFF, number & 0xFFFF, nonce, number)
    packet = _PACKET.pack(_REQUEST[family], 0, 0, *fields)
    # The checksum of ICMPv6 covers the addresses too; the kernel fills it in (RFC 3542 3.1).
    return packet if family == 6 else _PACKET.pack(_REQUEST[4], 0, _checksum(packet), *fields)


class _Exchange:
    """One wave on its way: what is still to send, what is under way, what came back."""

    def __init__(self, echo: Echo, wave: Sequence[Probe]) -> None:
        self._echo = echo
        self._wave = wave
        self._nonce = random.getrandbits(32)
        self._queue = deque(range(len(wave)))
        self._silent = set(self._queue)
        self._answers: dict[int, Answer] = {}
        self._under_way = 0

    def run(self, patience: float, resend: float) -> dict[int, Answer]:
        sent_all = False
        last = monotonic()  # when something was sent or came last
        deadline = again = last + patience
        while self._silent:
            self._fill_window()
            now = monotonic()
            if not self._queue and not sent_all:
                sent_all, deadline, again = True, now + patience, now + resend
            limit = last + _STALL if self._queue else min(deadline, again)
            news = self._receive(limit - now)
            now = monotonic()
            if news:
                last, deadline = now, max(deadline, now + min(patience, resend))
            elif self._queue:
                last, self._under_way = now, 0
            elif now >= deadline:
                break
            elif now >= again:
                self._queue.extend(sorted(self._silent))
                self._under_way, again = 0, now + resend
        return self._answers

    def _fill_window(self) -> None:
        while self._queue and self._under_way < _WINDOW:
            number = self._queue.popleft()
            if number in self._silent:
                self._send(number, self._wave[number])

    def _send(self, number: int, probe: Probe) -> None:
        sock = self._echo.socket(probe.netns, probe.family)
        packet = echo_request(probe.family, self._nonce, number)
        while True:
            try:
                sock.sendto(packet, (probe.target, 0))
            except BlockingIOError:
                self._queue.append(number)
                self._under_way = _WINDOW
            except OSError as error:
                # It may be another probe's: the kernel tells an ICMP error at the next call, whatever that is.
                if self._hear(sock, probe.family):
                    continue
                self._settle(number, self._echo.failed(probe, error))
            else:
                self._under_way += 1
            return

    def _settle(self, number: int, answer: Answer) -> None:
        self._silent.discard(number)
        self._answers[number] = answer

    def _receive(self, seconds: float) -> bool:
        """Take in what comes within so many seconds; whether any of it was for us."""
        news = False
        for netns, family, error in self._echo.ready(seconds):
            sock = self._echo.socket(netns, family)
            if error:
                news |= self._hear(sock, family)
            news |= self._take(sock, netns, family)
        return news

    def _take(self, sock: socket.socket, netns: str, family: Family) -> bool:
        news = False
        while True:
            try:
                data, sender = sock.recvfrom(256)
            except BlockingIOError:
                return news
            except OSError:
                continue  # an ICMP error that was pending; the queue has it
            start = (data[0] & 15) * 4 if family == 4 else 0
            number = self._number(data, start + 8)
            if number is None or data[start] != REPLY[family]:
                continue
            probe = self._wave[number]
            if (probe.netns, probe.family, probe.target) != (netns, family, sender[0]) or number not in self._silent:
                continue
            self._under_way -= 1
            self._settle(number, Answer(True, f"{sender[0]} answered"))
            news = True

    def _hear(self, sock: socket.socket, family: Family) -> bool:
        heard = False
        for said in unreachables(sock):
            heard = True
            number = self._number(said.payload, 8)
            if number is not None and number in self._silent:
                self._under_way -= 1
                self._settle(number, icmp_error(said.number, self._wave[number].target, said.offender))
        return heard

    def _number(self, data: bytes, start: int) -> int | None:
        """The probe's place in the wave, where the numbers that stand at `start` are ours."""
        if len(data) < start + _NUMBERS.size:
            return None
        nonce, number = _NUMBERS.unpack_from(data, start)
        return number if nonce == self._nonce and number < len(self._wave) else None
