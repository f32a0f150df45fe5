"""Keeps echo requests and a TCP connection going through a NIC while commands run that change it; run in a sandbox.

Between the sandbox's own namespace, which has the NIC, and the neighbour beyond, in namespace `out`: in both directions
and families an echo request (ICMP) every 10 ms, and one byte over a connection that was there before. One is lost when
its answer hasn't come by the end; the connection is kept when its last byte has come back on it.
"""

from __future__ import annotations

import json
import os
import select
import socket
import subprocess
import sys
import threading
import time

from guestwire.linux.kernel import Kernel
from tests.world.pings import Flow

__all__ = ["main"]

EVERY = 0.01  # seconds
ROUNDS = 260
LAST = 2.0  # seconds that the last answers get
PORT = 5099


def main() -> None:
    """ARGV: host's address and neighbour's for each family in use, then a command a word; print what each has cost."""
    pairs = [tuple(word.split(",")) for word in sys.argv[1].split()]
    with Kernel() as kernel:
        flows = {
            f"{near or 'host'} to {address}": Flow(kernel, near, address)
            for host, neighbour in pairs
            for near, address in (("out", host), ("", neighbour))
        }
        streams = [_Stream(kernel, host) for host, _ in pairs]
        print(json.dumps([_during(command, flows, streams) for command in sys.argv[2:]]))


def _during(command: str, flows: dict[str, Flow], streams: list[_Stream]) -> dict[str, object]:
    """What is lost while a command runs, and the longest that an answer over TCP took (ms)."""
    running: subprocess.Popen[bytes] | None = None
    going: list[Flow | _Stream] = [*flows.values(), *streams]
    for flow in flows.values():
        flow.waiting.clear()
    before = {name: flow.sent for name, flow in flows.items()}
    rounds = after = 0
    while rounds < ROUNDS or after < ROUNDS // 4:
        if rounds == ROUNDS // 4:
            running = subprocess.Popen(["sh", "-euc", command], stdout=2, env=os.environ)
        rounds += 1
        after += running is not None and running.poll() is not None
        for each in going:
            each.send()
        _receive(going, EVERY)
    _receive(going, LAST, whole=False)
    assert running is not None
    return {
        "code": running.returncode,
        "rounds": rounds,
        "lost": {name: len(flow.waiting) for name, flow in flows.items()},
        "sent": {name: flow.sent - before[name] for name, flow in flows.items()},
        "streams": [stream.kept() for stream in streams],
        "worst": [round(stream.worst * 1000) for stream in streams],
    }


class _Stream:
    """A TCP connection from the neighbour to the host, which sends back what it hears."""

    def __init__(self, kernel: Kernel, host: str) -> None:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        listener = socket.create_server((host, PORT), family=family)
        with kernel.inside("out"):
            self.socket = socket.socket(family, socket.SOCK_STREAM)
        self.socket.connect((host, PORT))
        threading.Thread(target=_echo, args=(listener.accept()[0],), daemon=True).start()
        self.socket.setblocking(False)
        self.sent = self.heard = 0
        self.since = time.monotonic()
        self.worst = 0.0

    @property
    def waiting(self) -> bool:
        return self.heard < self.sent

    def send(self) -> None:
        self.since = self.since if self.waiting else time.monotonic()
        self.sent += self.socket.send(b"x")

    def receive(self) -> None:
        self.heard += len(self.socket.recv(4096))
        self.worst = max(self.worst, time.monotonic() - self.since)
        self.since = time.monotonic()

    def kept(self) -> bool:
        return not self.waiting


def _echo(stream: socket.socket) -> None:
    while data := stream.recv(4096):
        stream.sendall(data)


def _receive(each: list[Flow | _Stream], seconds: float, whole: bool = True) -> None:
    """Take what comes, for the whole time or until nothing is awaited."""
    until = time.monotonic() + seconds
    while (left := until - time.monotonic()) > 0 and (whole or any(one.waiting for one in each)):
        for ready in select.select([one.socket for one in each], [], [], left)[0]:
            next(one for one in each if one.socket is ready).receive()


if __name__ == "__main__":
    main()
