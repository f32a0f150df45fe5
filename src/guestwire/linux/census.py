"""Counts what a namespace has beside links, addresses and routes: queueing, XDP, IPsec, connections, sockets, iptables.

All of it is read for the namespace that the calling thread is in. What this user may not see, or this kernel doesn't
know, isn't there. Numbers are those of include/uapi/linux/{rtnetlink,if_link,xfrm}.h.
"""

from __future__ import annotations

import errno
import socket
import struct
import sys
from contextlib import suppress
from typing import NamedTuple

from guestwire.linux.netlink import Request, Socket, attributes

__all__ = ["Census", "Listener", "census", "listeners"]

RTM_GETLINK, RTM_GETQDISC = 18, 38
IFLA_IFNAME, IFLA_LINKINFO, IFLA_XDP, IFLA_XDP_ATTACHED, TCA_KIND = 3, 18, 43, 2, 1
IFLA_INFO_KIND, IFLA_INFO_DATA = 1, 2
BRIDGE = b"bridge\0"
BRIDGE_SETTINGS = {
    7: ("VLAN filtering", 0),
    9: ("forwarding of link-local groups", 0),
    23: ("multicast snooping off", 1),
}
"""Those of a bridge (IFLA_BR_*) by which it passes other frames than a new one, each with its value there."""
NETLINK_XFRM, XFRM_MSG_GETSA, XFRM_MSG_GETPOLICY = 6, 0x12, 0x15
PLAIN = ("noqueue", "pfifo_fast", "pfifo", "fq_codel", "fq", "mq", "cake")  # what a kernel gives links by itself
NET = "/proc/thread-self/net"
CONNECTIONS = "/proc/sys/net/netfilter/nf_conntrack_count"
TCP_LISTEN = "0A"
UDP_UNCONNECTED = "07"
_TCMSG, _IFINFO = struct.Struct("=BxxxiIII"), struct.Struct("=BxHiII")


class Listener(NamedTuple):
    """A socket that waits for somebody: "tcp" or "udp", its address and its port."""

    protocol: str
    address: str
    port: int


class Census(NamedTuple):
    """What there is: of links how bridges are set otherwise than new ones, what queues frames, and where XDP sees them
    first; the rest by number."""

    bridges: tuple[tuple[str, str], ...]
    queueing: tuple[tuple[str, str], ...]
    xdp: tuple[str, ...]
    ipsec: int
    connections: int
    established: int
    listeners: tuple[Listener, ...]
    legacy: tuple[str, ...]
    """The tables of iptables' own kernel part, "iptables filter", which nft doesn't show."""


def census() -> Census:
    """All of it."""
    sock = Socket()
    try:
        names, xdp, bridges = _links(sock)
        queueing = tuple(_queueing(sock, names))
    finally:
        sock.close()
    listening, established = _sockets()
    legacy = [
        f"{family}tables {name}" for family in ("ip", "ip6", "arp") for name in _words(f"{NET}/{family}_tables_names")
    ]
    return Census(
        tuple(bridges),
        queueing,
        tuple(xdp),
        _ipsec(),
        _number(CONNECTIONS),
        established,
        tuple(listening),
        tuple(legacy),
    )


def listeners() -> list[Listener]:
    """The sockets that wait for somebody."""
    return _sockets()[0]


def _links(sock: Socket) -> tuple[dict[int, str], list[str], list[tuple[str, str]]]:
    names, xdp, bridges = {}, [], []
    for body in sock.dump(Request(RTM_GETLINK, 0, _IFINFO.pack(0, 0, 0, 0, 0))):
        index = _IFINFO.unpack_from(body)[2]
        found = attributes(body, 16, (IFLA_IFNAME, IFLA_LINKINFO, IFLA_XDP))
        names[index] = found[IFLA_IFNAME][:-1].decode(errors="replace")
        if attributes(found.get(IFLA_XDP, b"")).get(IFLA_XDP_ATTACHED, b"\0") != b"\0":
            xdp.append(names[index])
        info = attributes(found.get(IFLA_LINKINFO, b""))
        data = attributes(info.get(IFLA_INFO_DATA, b"")) if info.get(IFLA_INFO_KIND) == BRIDGE else {}
        for number, (what, usual) in BRIDGE_SETTINGS.items():
            if int.from_bytes(data.get(number, bytes([usual])), sys.byteorder) != usual:
                bridges.append((names[index], what))
    return names, xdp, bridges


def _queueing(sock: Socket, names: dict[int, str]) -> list[tuple[str, str]]:
    found: dict[tuple[str, str], None] = {}
    for body in sock.dump(Request(RTM_GETQDISC, 0, _TCMSG.pack(0, 0, 0, 0, 0))):
        index = _TCMSG.unpack_from(body)[1]
        kind = attributes(body, 20).get(TCA_KIND, b"")[:-1].decode(errors="replace")
        if kind not in PLAIN and index in names:
            found[names[index], kind] = None
    return list(found)


def _ipsec() -> int:
    """How many IPsec policies and associations there are; only root can see them."""
    found = 0
    with suppress(OSError):
        sock = Socket(NETLINK_XFRM)
        try:
            for message in (XFRM_MSG_GETSA, XFRM_MSG_GETPOLICY):
                found += len(sock.dump(Request(message, 0, b"")))
        finally:
            sock.close()
    return found


def _sockets() -> tuple[list[Listener], int]:
    """The sockets that wait for somebody, and how many TCP connections are established."""
    found: dict[Listener, None] = {}
    established = 0
    for file, state in (("tcp", TCP_LISTEN), ("tcp6", TCP_LISTEN), ("udp", UDP_UNCONNECTED), ("udp6", UDP_UNCONNECTED)):
        for line in _lines(f"{NET}/{file}")[1:]:
            _, local, _, is_in, *_ = line.split()
            established += is_in == "01"
            if is_in == state:
                address, port = local.split(":")
                found[Listener(file[:3], _address(address), int(port, 16))] = None
    return list(found), established


def _address(written: str) -> str:
    """An address of /proc/net/tcp: hexadecimal, in words of 32 bits of the machine's byte order."""
    words = [int(written[at : at + 8], 16) for at in range(0, len(written), 8)]
    return socket.inet_ntop(
        socket.AF_INET6 if len(words) > 1 else socket.AF_INET, struct.pack(f"={len(words)}I", *words)
    )


def _lines(path: str) -> list[str]:
    try:
        with open(path) as file:
            return file.read().splitlines()
    except OSError as error:
        if error.errno not in (errno.ENOENT, errno.EACCES, errno.EPERM):
            raise
        return []


def _words(path: str) -> list[str]:
    return [word for line in _lines(path) for word in line.split()]


def _number(path: str) -> int:
    return int(next(iter(_words(path)), "0"))
