"""Sockets that hear why what they sent did not arrive: the kernel's error queue, for both families.

Without IP_RECVERR a raw or UDP socket doesn't tell of a full neighbour table (ENOBUFS; `raw_sendmsg`, net/ipv4/raw.c).
"""

from __future__ import annotations

import errno
import socket
import struct
from collections.abc import Iterator
from typing import NamedTuple

from guestwire.linux.kernel import Kernel
from guestwire.linux.routes import way_to
from guestwire.reach.probe import FULL, Answer, Probe, send_error
from guestwire.reach.station import Family

__all__ = ["DOMAIN", "Unreachable", "hear_errors", "sending_failed", "unreachables"]

DOMAIN: dict[Family, int] = {4: socket.AF_INET, 6: socket.AF_INET6}

# include/uapi/linux/{in,in6,errqueue}.h
_IP_RECVERR, _IPV6_RECVERR = 11, 25
_EXTENDED = struct.Struct("=IBBBxII")
_FROM_ICMP = (2, 3)
_UNREACHABLE, _PROHIBITED = (2, 3), (9, 10, 13)  # type 3 of ICMP, and the codes of RFC 1812 5.2.7.1


class Unreachable(NamedTuple):
    """What an ICMP error says: its number, who sent it ("" unknown), and the start of what it complains of.

    That a filter prohibits it is EACCES for both families; for IPv4 the kernel says EHOSTUNREACH, as of much else
    (`icmp_err_convert` in net/ipv4/icmp.c).
    """

    number: int
    offender: str
    payload: bytes


def hear_errors(sock: socket.socket, family: Family) -> None:
    """Ask the kernel to queue the ICMP errors that concern this socket (ip(7), ipv6(7))."""
    if family == 4:
        sock.setsockopt(socket.IPPROTO_IP, _IP_RECVERR, 1)
    else:
        sock.setsockopt(socket.IPPROTO_IPV6, _IPV6_RECVERR, 1)


def unreachables(sock: socket.socket) -> Iterator[Unreachable]:
    """The ICMP errors in the queue, which is empty afterwards; those that are no ICMP are left out."""
    while True:
        try:
            payload, control, _, _ = sock.recvmsg(256, 512, socket.MSG_ERRQUEUE)
        except (BlockingIOError, ConnectionError):
            return
        except OSError:
            continue  # an error that was pending, now told: the queue is behind it
        for _, _, data in control:
            number, origin, kind, code, *_ = _EXTENDED.unpack_from(data)
            if origin in _FROM_ICMP:
                if (origin, kind) == _UNREACHABLE and code in _PROHIBITED:
                    number = errno.EACCES
                yield Unreachable(number, _offender(data[_EXTENDED.size :]), payload)


def _offender(address: bytes) -> str:
    # SO_EE_OFFENDER: a sockaddr of the family that the error came in.
    family = struct.unpack_from("=H", address)[0] if len(address) >= 2 else 0
    if family == socket.AF_INET:
        return socket.inet_ntop(family, address[4:8])
    if family == socket.AF_INET6:
        return socket.inet_ntop(family, address[8:24])
    return ""


def sending_failed(kernel: Kernel, probe: Probe, error: OSError) -> Answer:
    """What a refusal to send says; FULL where it says nothing about the target.

    For IPv6 a full table comes as EINVAL, as a blackhole route does (`ip6_finish_output2`): the route tells them apart.
    """
    number = error.errno or 0
    if number == errno.ENOBUFS:
        return FULL
    if number == errno.EINVAL and probe.family == 6 and way_to(kernel.socket(probe.netns), 6, probe.target):
        return FULL
    return send_error(number, probe.target)
