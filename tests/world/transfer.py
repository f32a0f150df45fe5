"""Sends bytes over TCP from one namespace to another and compares what arrives; run in a sandbox."""

from __future__ import annotations

import hashlib
import json
import os
import socket
import sys
import threading

from guestwire.linux.kernel import Kernel

__all__ = ["main"]

PORT, CHUNK, SECONDS = 5088, 1 << 18, 60


def main() -> None:
    """From ARGV[1] to the address ARGV[3] in ARGV[2], ARGV[4] megabytes; prints whether both digests are one."""
    sender, receiver, address, megabytes = sys.argv[1:]
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with Kernel() as kernel:
        with kernel.inside(receiver):
            listener = socket.create_server((address, PORT), family=family)
        with kernel.inside(sender):
            stream = socket.socket(family, socket.SOCK_STREAM)
    stream.settimeout(SECONDS)
    heard: list[str] = []
    hearing = threading.Thread(target=_hear, args=(listener, heard))
    hearing.start()
    digest = hashlib.sha256()
    with stream:
        stream.connect((address, PORT))
        for _ in range(int(megabytes) * (1 << 20) // CHUNK):
            chunk = os.urandom(CHUNK)
            digest.update(chunk)
            stream.sendall(chunk)
    hearing.join()
    print(json.dumps({"same": heard == [digest.hexdigest()]}))


def _hear(listener: socket.socket, heard: list[str]) -> None:
    digest = hashlib.sha256()
    with listener:
        listener.settimeout(SECONDS)
        with listener.accept()[0] as stream:
            while chunk := stream.recv(CHUNK):
                digest.update(chunk)
    heard.append(digest.hexdigest())


if __name__ == "__main__":
    main()
