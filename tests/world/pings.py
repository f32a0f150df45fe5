"""Keeps packets going between guests while `up` runs, and counts those that don't come back; run in a sandbox.

Each of some guests sends an echo request (ICMP) to another every few milliseconds, over IPv4 and IPv6. One is lost when
its answer hasn't come by the end.
"""

from __future__ import annotations

import json
import select
import socket
import struct
import subprocess
import sys
import time

from guestwire.kinds.address import Address
from guestwire.linux import namespaces
from guestwire.linux.kernel import Kernel
from guestwire.observe import observe
from guestwire.picture import Picture

__all__ = ["Flow", "main"]

EVERY = 0.008  # seconds
LAST = 2.0  # seconds that the last answers get
PAIRS = 8
ECHO = {4: (8, socket.IPPROTO_ICMP), 6: (128, socket.IPPROTO_ICMPV6)}


def main() -> None:
    """Ping between guests of project ARGV[1] while `up ARGV[2]`, then `up` of the first file, run."""
    project, *files = sys.argv[1:]
    with Kernel() as kernel:
        names = namespaces.names()
        picture = observe(kernel, "", names)
        flows = [
            Flow(kernel, near, address)
            for number in range(1, PAIRS + 1)
            for near, far in [(f"{project}-still-{number}", f"{project}-still-{100 - number}")]
            for address in _addresses(picture, far)
        ]
        codes = [_during(flows, path) for path in [*files, "guestwire.yaml"]]
        _finish(flows)
        subprocess.run([sys.executable, "-m", "guestwire", "up", *files], check=True, stdout=2)
    lost = sum(len(flow.waiting) for flow in flows)
    rounds = min(flow.sent for flow in flows)
    print(json.dumps({"codes": codes, "flows": len(flows), "rounds": rounds, "lost": lost}))


def _addresses(picture: Picture, netns: str) -> list[str]:
    return [address.address for address in picture.of(Address, netns)]


class Flow:
    """Echo requests from a namespace to an address; `waiting` are the numbers of those that nobody has answered."""

    def __init__(self, kernel: Kernel, netns: str, address: str) -> None:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        self.kind, protocol = ECHO[6 if ":" in address else 4]
        with kernel.inside(netns):
            with open("/proc/sys/net/ipv4/ping_group_range", "w") as file:
                file.write("0 0")
            self.socket = socket.socket(family, socket.SOCK_DGRAM, protocol)
        self.socket.setblocking(False)
        self.socket.connect((address, 0))
        self.waiting: set[int] = set()
        self.sent = 0

    def send(self) -> None:
        self.sent += 1
        self.waiting.add(self.sent)
        self.socket.send(struct.pack("!BBHHHI", self.kind, 0, 0, 0, self.sent & 0xFFFF, self.sent))

    def receive(self) -> None:
        try:
            while True:
                self.waiting.discard(struct.unpack_from("!I", self.socket.recv(1500), 8)[0])
        except BlockingIOError:
            pass


def _during(flows: list[Flow], path: str) -> int:
    running = subprocess.Popen([sys.executable, "-m", "guestwire", "up", path], stdout=2)
    while running.poll() is None:
        for flow in flows:
            flow.send()
        _receive(flows, EVERY)
    return running.returncode


def _receive(flows: list[Flow], seconds: float) -> None:
    until = time.monotonic() + seconds
    while (left := until - time.monotonic()) > 0 and any(flow.waiting for flow in flows):
        for flow in select.select([flow.socket for flow in flows], [], [], left)[0]:
            next(each for each in flows if each.socket is flow).receive()
    if (left := until - time.monotonic()) > 0 and seconds == EVERY:
        select.select([], [], [], left)


def _finish(flows: list[Flow]) -> None:
    _receive(flows, LAST)
