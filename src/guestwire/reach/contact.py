"""Asks one neighbour of a host, far or near, whether it is there: by echo, by ARP or NDP, by a DNS query.

Each question has a socket of its own in the host's namespace, so that any number can be waited for at once. A question
sets nothing: ARP and NDP are asked by packets of our own, since the kernel's table would answer from memory, and an
entry in it is the host's.
"""

from __future__ import annotations

import os
import socket
import struct
from dataclasses import dataclass
from typing import Literal

from guestwire.linux.kernel import Kernel
from guestwire.linux.routes import way_to
from guestwire.reach.echo import REPLY, echo_request, raw_socket
from guestwire.reach.sockets import DOMAIN
from guestwire.reach.station import Family

__all__ = ["Contact", "Inquiry", "Means", "Role", "inquiry"]

Role = Literal["gateway", "DNS server", "ssh client"]
Means = Literal["ping", "neighbour", "query"]

_ETH_P_ARP, _ARP_REQUEST, _ARP_REPLY = 0x0806, 1, 2  # RFC 826
_ARP = struct.Struct("!HHBBH6s4s6s4s")
_SOLICITATION, _ADVERTISEMENT, _SOURCE_MAC = 135, 136, 1  # RFC 4861 4.3, 4.4, 4.6.1
_HOPS = 255  # others are dropped (RFC 4861 7.1)
_DNS = struct.Struct("!HHHHHH")
_DNS_PORT, _RECURSE, _ROOT_NS = (
    53,
    0x0100,
    b"\0\0\2\0\1",
)  # the root's name servers
_QR = 0x8000


@dataclass(frozen=True)
class Contact:
    """Somebody whom a host must go on reaching; `link` is a link-local address's, `source` an address of ours."""

    role: Role
    address: str
    link: str = ""
    source: str = ""

    @property
    def family(self) -> Family:
        """4 or 6."""
        return 6 if ":" in self.address else 4

    @property
    def means(self) -> tuple[Means, ...]:
        """How it can be asked, the best first: what goes through the host's IP and firewall says more than a MAC."""
        return ("query",) if self.role == "DNS server" else ("ping", "neighbour")

    def __str__(self) -> str:
        return f"{self.role} {self.address}{f'%{self.link}' if self.link else ''}"


class Inquiry:
    """A question on its way: `ask` as often as is wanted, `answered` when the socket has something."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock

    def ask(self) -> None:
        """Send it. Raises OSError where the host itself refuses."""
        raise NotImplementedError

    def _is_answer(self, data: bytes) -> bool:
        raise NotImplementedError

    def answered(self) -> bool:
        """Whether an answer is among what has come. Raises OSError where an ICMP error has."""
        while True:
            try:
                data = self.sock.recv(2048)
            except BlockingIOError:
                return False
            if self._is_answer(data):
                return True


def inquiry(kernel: Kernel, netns: str, contact: Contact, means: Means) -> Inquiry:
    """The question to a contact from the namespace that is the host. Raises OSError where there is no way to it."""
    scope = kernel.index(netns, contact.link) if contact.link else 0
    if means == "query":
        return _Query(kernel, netns, contact, scope)
    if means == "ping":
        return _Ping(kernel, netns, contact, scope)
    return _neighbour(kernel, netns, contact, scope)


def _place(contact: Contact, scope: int, port: int = 0) -> tuple[str, int] | tuple[str, int, int, int]:
    return (contact.address, port) if contact.family == 4 else (contact.address, port, 0, scope)


class _Ping(Inquiry):
    def __init__(self, kernel: Kernel, netns: str, contact: Contact, scope: int) -> None:
        super().__init__(raw_socket(kernel, netns, contact.family))
        self._nonce, self._family = int.from_bytes(os.urandom(4)), contact.family
        try:
            if contact.source:
                self.sock.bind((contact.source, 0))
            self.sock.connect(_place(contact, scope))
        except OSError:
            self.sock.close()
            raise

    def ask(self) -> None:
        self.sock.send(echo_request(self._family, self._nonce, 0))

    def _is_answer(self, data: bytes) -> bool:
        start = (data[0] & 15) * 4 if self._family == 4 else 0
        return data[start : start + 1] == bytes([REPLY[self._family]]) and (
            data[start + 8 : start + 12] == self._nonce.to_bytes(4)
        )


class _Query(Inquiry):
    def __init__(self, kernel: Kernel, netns: str, contact: Contact, scope: int) -> None:
        with kernel.inside(netns):
            kind = socket.SOCK_DGRAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC
            super().__init__(socket.socket(DOMAIN[contact.family], kind))
        self._number = int.from_bytes(os.urandom(2))
        try:
            self.sock.connect(_place(contact, scope, _DNS_PORT))
        except OSError:
            self.sock.close()
            raise

    def ask(self) -> None:
        self.sock.send(_DNS.pack(self._number, _RECURSE, 1, 0, 0, 0) + _ROOT_NS)

    def _is_answer(self, data: bytes) -> bool:
        """Any answer will do, a refusal too: it comes from the server."""
        number, flags = struct.unpack_from("!HH", data) if len(data) >= _DNS.size else (0, 0)
        return number == self._number and bool(flags & _QR)


def _neighbour(kernel: Kernel, netns: str, contact: Contact, scope: int) -> Inquiry:
    """The question for a contact's MAC; of one that isn't on a link of ours, for that of the gateway to it."""
    address, source = contact.address, contact.source
    with kernel.inside(netns):
        if source:  # is it ours still?
            with socket.socket(DOMAIN[contact.family], socket.SOCK_DGRAM) as sock:
                sock.bind((source, 0))
    if not scope:
        way = way_to(kernel.socket(netns), contact.family, address)
        if way is None:
            raise OSError(101, os.strerror(101))
        scope, address, source = way.link, way.gateway or address, source or way.source
    if contact.family == 4:
        return _Arp(kernel, netns, scope, source, address)
    return _Solicitation(kernel, netns, scope, address)


def _on_link(kernel: Kernel, netns: str, link: int, protocol: int) -> tuple[socket.socket, bytes]:
    """A packet socket on a link, and that link's MAC."""
    with kernel.inside(netns):
        kind = socket.SOCK_DGRAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC
        sock = socket.socket(socket.AF_PACKET, kind, 0)
        try:
            sock.bind((socket.if_indextoname(link), protocol))
        except OSError:
            sock.close()
            raise
    return sock, sock.getsockname()[4]


class _Arp(Inquiry):
    def __init__(self, kernel: Kernel, netns: str, link: int, source: str, address: str) -> None:
        sock, self._mac = _on_link(kernel, netns, link, _ETH_P_ARP)
        super().__init__(sock)
        self._source = socket.inet_aton(source or "0.0.0.0")  # 0.0.0.0 is a probe (RFC 5227 1.1)
        self._address = socket.inet_aton(address)

    def ask(self) -> None:
        packet = _ARP.pack(1, 0x0800, 6, 4, _ARP_REQUEST, self._mac, self._source, bytes(6), self._address)
        self.sock.sendto(packet, (self.sock.getsockname()[0], _ETH_P_ARP, 0, 0, b"\xff" * 6))

    def _is_answer(self, data: bytes) -> bool:
        if len(data) < _ARP.size:
            return False
        *_, kind, _, sender, to, _ = _ARP.unpack_from(data)
        return bool(kind == _ARP_REPLY and sender == self._address and to == self._mac)


class _Solicitation(Inquiry):
    def __init__(self, kernel: Kernel, netns: str, link: int, address: str) -> None:
        packets, self._mac = _on_link(kernel, netns, link, 0)
        packets.close()
        super().__init__(raw_socket(kernel, netns, 6, _ADVERTISEMENT))
        self._link, self._address = link, socket.inet_pton(socket.AF_INET6, address)
        self.sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, _HOPS)
        self.sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, link)

    def ask(self) -> None:
        group = b"\xff\x02" + bytes(9) + b"\x01\xff" + self._address[-3:]  # RFC 4291 2.7.1
        packet = struct.pack("!BBHI", _SOLICITATION, 0, 0, 0) + self._address + bytes([_SOURCE_MAC, 1]) + self._mac
        self.sock.sendto(packet, (socket.inet_ntop(socket.AF_INET6, group), 0, 0, self._link))

    def _is_answer(self, data: bytes) -> bool:
        return data[:1] == bytes([_ADVERTISEMENT]) and data[8:24] == self._address
