"""TCP and UDP probes: a connection accepted, a datagram answered, by a listener of our own where there is none.

A reset or a "port unreachable" is no answer. What we listen with is closed after the wave, and connections are reset
(SO_LINGER of 0 s), so that none remains in TIME_WAIT.
"""

from __future__ import annotations

import contextlib
import errno
import os
import select
import socket
import struct
from collections.abc import Sequence
from time import monotonic

from guestwire.linux.kernel import Kernel
from guestwire.reach.probe import Answer, Probe, icmp_error
from guestwire.reach.sockets import DOMAIN, hear_errors, sending_failed, unreachables

__all__ = ["PortProbes"]

_NOW = struct.pack("=ii", 1, 0)  # struct linger: reset at once
_BACKLOG = 1024
_SILENT = "no answer from {} port {}, which a program of its own holds: whether it was reached can't be told"
_UNKNOWN = "no answer from {} port {}, where nothing of ours listens: whether it was reached can't be told"


class PortProbes:
    """Port probes, a wave at a time. Nothing is open between waves."""

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel

    def run(self, wave: Sequence[Probe], patience: float, resend: float) -> dict[int, Answer]:
        """As `Echo.run` does, for probes of tcp and udp."""
        exchange = _Exchange(self._kernel, wave)
        try:
            return exchange.run(patience, resend)
        finally:
            exchange.close()


class _Exchange:
    def __init__(self, kernel: Kernel, wave: Sequence[Probe]) -> None:
        self._kernel = kernel
        self._wave = wave
        self._epoll = select.epoll()
        self._listeners: dict[tuple[str, str, str, int], socket.socket | None] = {}
        self._echoes: dict[int, socket.socket] = {}
        self._asking: dict[int, tuple[int, socket.socket]] = {}
        self._answers: dict[int, Answer] = {}

    def close(self) -> None:
        """Close every socket."""
        for sock in (*self._listeners.values(), *(sock for _, sock in self._asking.values())):
            if sock is not None:
                sock.close()
        self._epoll.close()

    def run(self, patience: float, resend: float) -> dict[int, Answer]:
        for probe in self._wave:
            if probe.listen and probe.answerer is not None:
                self._listen(probe, probe.answerer)
        for number, probe in enumerate(self._wave):
            self._ask(number, probe)
        deadline = monotonic() + patience
        again = monotonic() + resend
        while self._asking and (now := monotonic()) < deadline:
            if self._turn(min(deadline, again) - now):
                deadline = max(deadline, monotonic() + min(patience, resend))
            elif monotonic() >= again:
                again = monotonic() + resend
                for number, sock in list(self._asking.values()):
                    self._say(number, sock)
        for number, _ in self._asking.values():
            self._doubt(number)
        return self._answers

    # Listening

    def _listen(self, probe: Probe, netns: str) -> None:
        key = (netns, probe.proto, *(probe.behind or (probe.target, probe.port)))
        if key in self._listeners:
            return
        self._listeners[key] = None
        kind = socket.SOCK_STREAM if probe.proto == "tcp" else socket.SOCK_DGRAM
        with self._kernel.inside(netns):
            sock = socket.socket(DOMAIN[probe.family], kind | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
        try:
            if probe.family == 6:
                sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            if probe.proto == "tcp":
                # A connection of before that waits out its time shall not keep us from the port. For UDP the same
                # option would let us take the port from a program that holds it (socket(7)).
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sock.bind(key[2:])
            if probe.proto == "tcp":
                sock.listen(_BACKLOG)
        except OSError:
            # Somebody listens already, and answers; or the address isn't there (yet), and the probe will show it.
            sock.close()
            return
        self._listeners[key] = sock
        if probe.proto == "udp":
            self._echoes[sock.fileno()] = sock
            self._epoll.register(sock.fileno(), select.EPOLLIN)

    def _listens(self, probe: Probe) -> bool:
        where = probe.behind or (probe.target, probe.port)
        return self._listeners.get((probe.answerer or "", probe.proto, *where)) is not None

    def _echo(self, sock: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                data, sender = sock.recvfrom(256)
                sock.sendto(data, sender)

    # Asking

    def _ask(self, number: int, probe: Probe) -> None:
        kind = socket.SOCK_STREAM if probe.proto == "tcp" else socket.SOCK_DGRAM
        with self._kernel.inside(probe.netns):
            sock = socket.socket(DOMAIN[probe.family], kind | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
        self._asking[sock.fileno()] = (number, sock)
        events = select.EPOLLIN
        if probe.proto == "tcp":
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NOW)
            events = select.EPOLLOUT
        else:
            hear_errors(sock, probe.family)
        failed = sock.connect_ex((probe.target, probe.port))
        if failed not in (0, errno.EINPROGRESS):
            self._failed(number, sock, OSError(failed, os.strerror(failed)))
            return
        self._epoll.register(sock.fileno(), events)
        self._say(number, sock)

    def _say(self, number: int, sock: socket.socket) -> None:
        if self._wave[number].proto == "udp":
            try:
                sock.send(b"guestwire")
            except BlockingIOError:
                pass
            except ConnectionRefusedError:
                pass  # said of the datagram before; the epoll tells it too
            except OSError as error:
                self._failed(number, sock, error)

    def _turn(self, seconds: float) -> bool:
        news = False
        for fd, event in self._epoll.poll(max(seconds, 0.0)):
            if fd in self._echoes:
                self._echo(self._echoes[fd])
            elif fd in self._asking:
                number, sock = self._asking[fd]
                if self._wave[number].proto == "tcp":
                    self._connected(number, sock)
                else:
                    self._answered(number, sock, bool(event & select.EPOLLERR))
                news = True
        return news

    def _connected(self, number: int, sock: socket.socket) -> None:
        probe = self._wave[number]
        failed = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if not failed:
            self._settle(number, sock, Answer(True, f"{probe.target} port {probe.port} accepted"))
        else:
            self._settle(number, sock, icmp_error(failed, probe.target, ""))

    def _answered(self, number: int, sock: socket.socket, error: bool) -> None:
        probe = self._wave[number]
        if error:
            for said in unreachables(sock):
                self._settle(number, sock, icmp_error(said.number, probe.target, said.offender))
                return
        with contextlib.suppress(OSError):
            sock.recv(256)
            self._settle(number, sock, Answer(True, f"{probe.target} port {probe.port} answered"))

    def _failed(self, number: int, sock: socket.socket, error: OSError) -> None:
        try:
            self._settle(number, sock, sending_failed(self._kernel, self._wave[number], error))
        except BaseException:
            self._asking.pop(sock.fileno(), None)
            sock.close()
            raise

    def _settle(self, number: int, sock: socket.socket, answer: Answer) -> None:
        self._asking.pop(sock.fileno())
        sock.close()
        self._answers[number] = answer

    def _doubt(self, number: int) -> None:
        """A datagram that nobody answered says nothing, unless the listener was ours."""
        probe = self._wave[number]
        if probe.proto == "udp" and not self._listens(probe):
            words = _SILENT if probe.listen else _UNKNOWN
            self._answers[number] = Answer(None, words.format(probe.target, probe.port))
