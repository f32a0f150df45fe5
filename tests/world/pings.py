"""Keeps packets going between guests while change follows change, and counts those that are lost; run in a sandbox.

Each of some guests sends an echo request (ICMP) to another every few milliseconds, over each network and over IPv4 and
IPv6. One is lost when its answer hasn't come by the end. Each change is made by a fork.
"""

from __future__ import annotations

import json
import os
import select
import socket
import struct
import sys
import time
import traceback
from typing import NoReturn

from guestwire.api import up
from guestwire.kinds.address import Address
from guestwire.linux import namespaces
from guestwire.linux.kernel import Kernel
from guestwire.observe import observe
from tests.world.faults import load

__all__ = ["Flow", "main"]

EVERY = 0.005  # seconds
LAST = 2.0  # seconds that the last answers get
ECHO = {4: (8, socket.IPPROTO_ICMP), 6: (128, socket.IPPROTO_ICMPV6)}


def main() -> None:
    """Ping among the guests ARGV[1]-still-* while so many changes as ARGV[2] says go through the files in turn."""
    project, changes, *files = sys.argv[1], int(sys.argv[2]), *sys.argv[3:]
    for file in files:
        load(file, lab=False)
    with Kernel() as kernel:
        names = namespaces.names()
        picture = observe(kernel, "", names)
        still = [name for name in names if name.startswith(f"{project}-still-")]
        flows = [
            Flow(kernel, near, address.address)
            for near, far in zip(still, [*still[1:], still[0]], strict=True)
            for address in picture.of(Address, far)
        ]
        steps = [_during(flows, files[number % len(files)]) for number in range(changes)]
        _receive(flows, LAST, whole=False)
        for flow in flows:
            flow.socket.close()
    lost = sum(len(flow.waiting) for flow in flows)
    rounds = min(flow.sent for flow in flows)
    print(json.dumps({"steps": steps, "flows": len(flows), "rounds": rounds, "lost": lost}))


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


def _during(flows: list[Flow], file: str) -> int:
    """How many steps `up` of the file took; meanwhile the pings go on."""
    ours, theirs = os.pipe()
    pid = os.fork()
    if pid == 0:
        _child(file, theirs)
    os.close(theirs)
    with open(ours) as answer:
        while not select.select([answer], [], [], 0)[0]:
            for flow in flows:
                flow.send()
            _receive(flows, EVERY, whole=True)
        said = answer.read()
    code = os.waitpid(pid, 0)[1]
    assert code == 0, said
    return int(said)


def _child(file: str, theirs: int) -> NoReturn:
    code, said = 1, ""
    try:
        said = str(len(up(file).plan.steps))
        code = 0
    except BaseException:
        said = traceback.format_exc()
    finally:
        os.write(theirs, said.encode())
        os._exit(code)


def _receive(flows: list[Flow], seconds: float, whole: bool) -> None:
    """Take answers for so long, or only until all have come."""
    until = time.monotonic() + seconds
    by_number = {flow.socket.fileno(): flow for flow in flows}
    while (left := until - time.monotonic()) > 0 and (whole or any(flow.waiting for flow in flows)):
        for number in select.select(list(by_number), [], [], left)[0]:
            by_number[number].receive()
