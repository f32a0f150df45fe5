"""Runs guestwire, and prints what happened meanwhile to the namespace that it was called in: every message of netlink.

All groups of rtnetlink, and those of nftables, are listened to; files are watched where they lie, in /run and /etc.
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

__all__ = ["main"]

SOL_NETLINK, ADD_MEMBERSHIP = 270, 1
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
    for source in select.select([*sockets, watch], [], [], 0)[0]:
        data = os.read(source if isinstance(source, int) else source.fileno(), 65536)
        heard.append(data.hex() if isinstance(source, int) else str(struct.unpack_from("=IHH", data)))
    print(json.dumps({"code": done.returncode, "printed": done.stdout, "said": done.stderr, "heard": heard}))
