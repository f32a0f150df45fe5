"""A DHCP client for tests, run in a guest: asks over IPv4 or IPv6, and prints as JSON what it was given.

It keeps nothing and sets nothing: a packet socket's work is done by a UDP socket bound to the NIC, for a guest that has
no address yet as for one that has (RFC 2131, RFC 8415).
"""

from __future__ import annotations

import json
import secrets
import select
import socket
import struct
import sys
from collections.abc import Callable, Iterator

__all__ = ["main"]

PATIENCE, TRIES = 1.0, 30  # seconds for an answer, and how often it is asked again
MAGIC = b"\x63\x82\x53\x63"
DISCOVER, OFFER, REQUEST, ACK = 1, 2, 3, 5
SOLICIT, ADVERTISE, REQUEST6, REPLY = 1, 2, 3, 7
CLIENT_ID, SERVER_ID, IA_NA, IA_ADDR, ELAPSED, DNS6 = 1, 2, 3, 5, 8, 23


def main() -> None:
    """Ask by the link ARGV[1] for the family ARGV[2], with the MAC ARGV[3] or the link's."""
    link, family = sys.argv[1], sys.argv[2]
    with open(f"/sys/class/net/{link}/address") as file:
        mac = bytes.fromhex((sys.argv[3] if len(sys.argv) > 3 else file.read().strip()).replace(":", ""))
    print(json.dumps(_four(link, mac) if family == "4" else _six(link, mac)))


def _asked(sock: socket.socket, packet: bytes, to: tuple[object, ...], good: Callable[[bytes], bool]) -> bytes:
    for _ in range(TRIES):
        sock.sendto(packet, to)
        while select.select([sock], [], [], PATIENCE)[0]:
            answer = sock.recv(2048)
            if good(answer):
                return answer
    raise SystemExit("nobody answers")


def _four(link: str, mac: bytes) -> dict[str, object]:
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, link.encode())
    sock.bind(("", 68))
    number = secrets.token_bytes(4)

    def packet(kind: int, *options: tuple[int, bytes]) -> bytes:
        head = struct.pack("!BBBB4sHH16x16s192x", 1, 1, 6, 0, number, 0, 0x8000, mac)
        listed = [(53, bytes([kind])), *options, (55, bytes([1, 3, 6, 12, 51, 26]))]
        return head + MAGIC + b"".join(bytes([n, len(value)]) + value for n, value in listed) + b"\xff"

    def good(kind: int) -> Callable[[bytes], bool]:
        return lambda answer: answer[4:8] == number and dict(_options4(answer)).get(53) == bytes([kind])

    everyone = ("255.255.255.255", 67)
    offer = _asked(sock, packet(DISCOVER), everyone, good(OFFER))
    wanted = ((50, offer[16:20]), (54, dict(_options4(offer))[54]))
    given = _asked(sock, packet(REQUEST, *wanted), everyone, good(ACK))
    found = dict(_options4(given))
    return {
        "address": socket.inet_ntoa(given[16:20]),
        "router": socket.inet_ntoa(found[3]) if 3 in found else None,
        "dns": socket.inet_ntoa(found[6]) if 6 in found else None,
        "name": found[12].decode() if 12 in found else None,
        "seconds": int.from_bytes(found[51]),
        "mtu": int.from_bytes(found[26]) if 26 in found else None,
    }


def _options4(packet: bytes) -> Iterator[tuple[int, bytes]]:
    rest = packet[240:]
    while rest and rest[0] != 255:
        if rest[0]:
            yield rest[0], rest[2 : 2 + rest[1]]
            rest = rest[2 + rest[1] :]
        else:
            rest = rest[1:]


def _six(link: str, mac: bytes) -> dict[str, object]:
    index = socket.if_nametoindex(link)
    sock = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, link.encode())
    sock.bind(("::", 546))
    number = secrets.token_bytes(3)
    own = struct.pack("!HH", 3, 1) + mac  # DUID-LL

    def packet(kind: int, *options: tuple[int, bytes]) -> bytes:
        listed = [(CLIENT_ID, own), (ELAPSED, bytes(2)), *options]
        return bytes([kind]) + number + b"".join(struct.pack("!HH", n, len(value)) + value for n, value in listed)

    def good(kind: int) -> Callable[[bytes], bool]:
        return lambda answer: answer[0] == kind and answer[1:4] == number

    servers = ("ff02::1:2", 547, 0, index)
    nothing = (IA_NA, struct.pack("!III", 1, 0, 0))
    offer = dict(_options6(_asked(sock, packet(SOLICIT, nothing), servers, good(ADVERTISE))[4:]))
    wanted = ((SERVER_ID, offer[SERVER_ID]), (IA_NA, offer[IA_NA]))
    given = dict(_options6(_asked(sock, packet(REQUEST6, *wanted), servers, good(REPLY))[4:]))
    address = dict(_options6(given[IA_NA][12:]))[IA_ADDR]
    return {
        "address": socket.inet_ntop(socket.AF_INET6, address[:16]),
        "dns": socket.inet_ntop(socket.AF_INET6, given[DNS6][:16]) if DNS6 in given else None,
        "seconds": int.from_bytes(address[20:24]),
    }


def _options6(rest: bytes) -> Iterator[tuple[int, bytes]]:
    while len(rest) >= 4:
        number, length = struct.unpack_from("!HH", rest)
        yield number, rest[4 : 4 + length]
        rest = rest[4 + length :]


if __name__ == "__main__":
    main()
