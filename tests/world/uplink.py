"""A host on a LAN with a router and somebody far who is logged in by TCP, as by ssh; run in a sandbox.

`begin` makes the host; `Login` keeps a byte going there and back every 20 ms, and says how long the longest wait was.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from types import TracebackType

from tests.sandbox import SOURCE, Sandbox

__all__ = ["SSH", "Login", "begin"]

SSH = {"SSH_CONNECTION": "203.0.113.5 5555 192.0.2.10 22"}
HOST = """
ip netns add out
ip link add eth0 type veth peer name far netns out
ip link set eth0 up
ip -n out link set far up
ip -n out link set lo up
ip address add 192.0.2.10/24 dev eth0
ip address add 2001:db8:1::10/64 dev eth0 nodad
ip -n out address add 192.0.2.1/24 dev far
ip -n out address add 2001:db8:1::1/64 dev far nodad
ip -n out address add 203.0.113.5/32 dev lo
ip route add default via 192.0.2.1
ip -6 route add default via 2001:db8:1::1
rm -f /etc/resolv.conf
echo nameserver 203.0.113.5 > /etc/resolv.conf
for try in $(seq 1000); do ip -6 route show table local | grep -q 2001:db8:1::10 && break; done
"""
SERVER = """
import socket, sys
listener = socket.create_server(("192.0.2.10", 22))
print("ready", flush=True)
sock, _ = listener.accept()
while data := sock.recv(100):
    sock.send(data)
"""
CLIENT = """
import json, select, socket, sys, time
sock = socket.create_connection(("192.0.2.10", 22), source_address=("203.0.113.5", 5555))
print("ready", flush=True)
sent = got = 0
worst, last = 0.0, time.monotonic()
while got < sent or not select.select([sys.stdin], [], [], 0)[0]:
    if sent == got:
        select.select([], [], [], 0.02)
        sock.send(b"x")
        sent, last = sent + 1, time.monotonic()
    if not select.select([sock], [], [], 30)[0]:
        break
    got += len(sock.recv(100))
    worst = max(worst, time.monotonic() - last)
print(json.dumps({"whole": sent == got, "sent": sent, "worst": worst}))
"""


def begin(sandbox: Sandbox) -> None:
    """Make the host, its router and the LAN between them."""
    sandbox.sh(HOST)


class Login:
    """A TCP session from far, through the router, to the host."""

    def __init__(self, sandbox: Sandbox) -> None:
        environment = {**os.environ, "PYTHONPATH": str(SOURCE)}
        self._server = subprocess.Popen(
            sandbox.inside(sys.executable, "-c", SERVER), stdout=subprocess.PIPE, text=True, env=environment
        )
        assert self._server.stdout
        assert self._server.stdout.readline() == "ready\n"
        self._client = subprocess.Popen(
            sandbox.inside("ip", "netns", "exec", "out", sys.executable, "-c", CLIENT),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
        )
        assert self._client.stdout
        assert self._client.stdout.readline() == "ready\n"

    def __enter__(self) -> Login:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        for process in (self._client, self._server):
            process.communicate(timeout=60)  # the client ends with its input, the server with the client

    def ends(self) -> float:
        """Log out: every byte has come back, the last after now. Seconds of the longest wait for one."""
        said, _ = self._client.communicate("\n", timeout=60)
        found = json.loads(said)
        assert found["whole"], found
        assert found["sent"] > 1
        return float(found["worst"])
