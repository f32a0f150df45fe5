#!/usr/bin/env python3
"""A tunnel: what comes out of a tap or tun here goes into one there, each frame in a UDP datagram.

NOT ENCRYPTED, NOT AUTHENTICATED. Whoever sees the datagrams reads them, and whoever can write the peer's address on one
gets in. It shows how a VPN's program works, and is none: use WireGuard. docs/udp-tunnel.md explains it line by line.

    guestwire tap add tun0 --tun && ip address add 10.8.0.1/24 dev tun0
    udp_tunnel.py tun0 --tun --here 192.0.2.1:5000 --there 192.0.2.2:5000
"""

from __future__ import annotations

import argparse
import contextlib
import errno
import ipaddress
import select
import socket
import sys

from guestwire.errors import GuestwireError
from guestwire.frames import Device, Tap, Tun

MOST = 65507  # bytes of the longest datagram that IPv4 can carry
PASSING = (errno.ECONNREFUSED, errno.EHOSTUNREACH, errno.ENETUNREACH, errno.ENOBUFS, errno.EMSGSIZE)


def endpoint(word: str) -> tuple[str, int]:
    """`192.0.2.1:5000` or `[2001:db8::1]:5000` as an address and a port."""
    address, _, port = word.rpartition(":")
    try:
        return str(ipaddress.ip_address(address.strip("[]"))), int(port)
    except ValueError:
        raise argparse.ArgumentTypeError(f"`{word}` is no ADDRESS:PORT") from None


def connected(here: tuple[str, int], there: tuple[str, int]) -> socket.socket:
    """A UDP socket that sends to one peer and hears that one only."""
    wire = socket.socket(socket.AF_INET6 if ":" in there[0] else socket.AF_INET, socket.SOCK_DGRAM)
    wire.bind(here)
    wire.connect(there)
    return wire


def carry(device: Device, wire: socket.socket) -> None:
    """Carry frames both ways until Ctrl-C, or until the device is deleted."""
    waiting = select.poll()
    waiting.register(device, select.POLLIN)
    waiting.register(wire, select.POLLIN)
    while True:
        for ready, _ in waiting.poll():
            try:
                if ready == device.fileno():
                    wire.send(device.read())
                else:
                    device.write(wire.recv(MOST))
            except OSError as error:
                # The peer isn't there yet, or this one frame is too long for the way: that one is lost, as on any wire.
                if error.errno not in PASSING:
                    raise


def main() -> int:
    """Exit code: 0 when it was ended by Ctrl-C, else that of the error."""
    words = argparse.ArgumentParser(description="A tunnel over UDP. NOT ENCRYPTED, NOT AUTHENTICATED.")
    words.add_argument("name", help="the tap or tun, which is there already")
    words.add_argument("--tun", action="store_true", help="it is a tun: IP packets, not Ethernet frames")
    words.add_argument("--here", type=endpoint, required=True, metavar="ADDRESS:PORT", help="where we listen")
    words.add_argument("--there", type=endpoint, required=True, metavar="ADDRESS:PORT", help="the peer")
    given = words.parse_args()
    kind = Tun if given.tun else Tap
    try:
        with kind(given.name) as device, connected(given.here, given.there) as wire:
            print(f"{given.name} is tunnelled, unencrypted, to {given.there[0]}", file=sys.stderr, flush=True)
            with contextlib.suppress(KeyboardInterrupt):
                carry(device, wire)
    except GuestwireError as error:
        print(f"udp_tunnel: {error}", file=sys.stderr)
        return error.code
    except OSError as error:
        print(f"udp_tunnel: {error.strerror}", file=sys.stderr)
        return 71
    return 0


if __name__ == "__main__":
    sys.exit(main())
