"""Runs guestwire, and prints what happened meanwhile to the namespace that it was called in: every message of netlink.

All groups of rtnetlink, and those of nftables, are listened to; files are watched where they lie, in /run and /etc.
Whom the kernel learns to be a neighbour, and forgets again, is left out: that table is one for the whole machine, and
tests beside this one fill it.
"""

from __future__ import annotations

import ctypes
import json
import os
import select
import socket
import struct
import subprocess
import sys
from collections.abc import Iterator

__all__ = ["main"]

SOL_NETLINK, ADD_MEMBERSHIP = 270, 1
RTM_NEWNEIGH, RTM_DELNEIGH, NUD_PERMANENT = 28, 29, 0x80
GROUPS = {0: range(1, 40), 12: (7,)}  # NETLINK_ROUTE: RTNLGRP_*; NETLINK_NETFILTER: NFNLGRP_NFTABLES
CHANGES = 0x2 | 0x4 | 0x40 | 0x80 | 0x100 | 0x200 | 0x400  # IN_MODIFY, ATTRIB, MOVED, CREATE, DELETE, DELETE_SELF
FOLDERS = ("/run", "/run/netns", "/run/guestwire", "/etc", "/etc/netns")


def main() -> None:
    """Run guestwire with our words; print its exit code, what it printed, and all that was heard."""
    sockets = []
    for protocol, groups in GROUPS.items():
        sock = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_NONBLOCK, protocol)
        sock.bind((0, 0))
        for group in groups:
            try:
                sock.setsockopt(SOL_NETLINK, ADD_MEMBERSHIP, group)
            except OSError:  # this kernel has none of that number
                break
        sockets.append(sock)
    libc = ctypes.CDLL(None)
    watch = libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
    for folder in filter(os.path.isdir, FOLDERS):
        libc.inotify_add_watch(watch, folder.encode(), CHANGES)
    done = subprocess.run(
        [sys.executable, "-m", "guestwire", *sys.argv[1:]], capture_output=True, text=True, check=False
    )
    heard = []
    while ready := select.select(sockets, [], [], 0)[0]:
        heard += [message for sock in ready for message in _messages(sock.recv(1 << 16))]
    heard += [os.read(watch, 1 << 16).hex()] if select.select([watch], [], [], 0)[0] else []
    print(json.dumps({"code": done.returncode, "printed": done.stdout, "said": done.stderr, "heard": heard}))


def _messages(data: bytes) -> Iterator[str]:
    """The messages of what one read gave, in hexadecimal."""
    while data:
        size, kind = struct.unpack_from("=IH", data)
        if kind not in (RTM_NEWNEIGH, RTM_DELNEIGH) or struct.unpack_from("=H", data, 24)[0] & NUD_PERMANENT:
            yield data[:size].hex()
        data = data[size + 3 & ~3 :]
