"""Who is seen to ask: a server in one namespace that answers each with the address it comes from, and visitors."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from tests.sandbox import Sandbox

__all__ = ["serving", "visit"]

SERVER = """
import socket, sys, threading
def serve(family, kind, port):
    sock = socket.socket(family, kind)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if family == socket.AF_INET6:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    sock.bind(("", port))
    if kind == socket.SOCK_STREAM:
        sock.listen()
    def tcp():
        while True:
            peer, address = sock.accept()
            with peer:
                peer.sendall((sys.argv[1] + " " + address[0]).encode())
    def udp():
        while True:
            _, address = sock.recvfrom(100)
            sock.sendto((sys.argv[1] + " " + address[0]).encode(), address)
    threading.Thread(target=tcp if kind == socket.SOCK_STREAM else udp, daemon=True).start()
for family in (socket.AF_INET, socket.AF_INET6):
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
        serve(family, kind, int(sys.argv[2]))
print("ready", flush=True)
sys.stdin.read()
"""
VISITOR = """
import select, socket, sys
kind = {"tcp": socket.SOCK_STREAM, "udp": socket.SOCK_DGRAM}[sys.argv[3]]
sock = socket.socket(socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET, kind)
seconds = int(sys.argv[4])
sock.settimeout(seconds)
try:
    sock.connect((sys.argv[1], int(sys.argv[2])))
    for _ in range(seconds if sys.argv[3] == "udp" else 0):
        sock.send(b"?")
        if select.select([sock], [], [], 1)[0]:
            break
    print(sock.recv(100).decode())
except OSError as error:
    print("no:", error)
"""


def _within(netns: str) -> list[str]:
    return ["ip", "netns", "exec", netns] if netns else []


@contextmanager
def serving(sandbox: Sandbox, netns: str, port: int = 80) -> Iterator[None]:
    """Have a server in the namespace answer on the port, over TCP and UDP, both families, as long as the block runs."""
    words = sandbox.inside(*_within(netns), sys.executable, "-c", SERVER, netns or "host", str(port))
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin
        assert process.stdout
        try:
            assert process.stdout.readline() == "ready\n"
            yield
        finally:
            process.stdin.close()


def visit(sandbox: Sandbox, netns: str, address: str, port: int = 80, proto: str = "tcp", seconds: int = 30) -> str:
    """What a visitor from the namespace is told: "SERVER ADDRESS", its own address as it is seen there, or "no:…".

    That nobody answers is told after so many seconds; a fresh link-local address is good for nothing for two.
    """
    words = (VISITOR, address, str(port), proto, str(seconds))
    return sandbox.run(*_within(netns), sys.executable, "-c", *words).stdout.strip()
