"""What a namespace has of links, addresses and routes; of many namespaces read ahead by a process beside us.

To ask the kernel and to cut its answers into attributes is the most of the work, and can be done on another processor
while this process still imports and reads what it is for. So it counts only where guestwire itself has changed nothing
since. What somebody else changes in those tenths of a second is as if it came right after the reading.
"""

from __future__ import annotations

import contextlib
import marshal
import os
import socket
import struct
from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

from guestwire.linux import namespaces
from guestwire.linux.beside import Beside
from guestwire.linux.libc import CLONE_NEWNET, setns
from guestwire.linux.netlink import Socket
from guestwire.linux.routes import RouteMessage, dump_routes
from guestwire.linux.rtnetlink import AddressMessage, LinkMessage, dump_addresses, dump_links

__all__ = ["Reading", "Readings", "read_namespace"]

PARCEL = 16  # namespaces that are sent at once
_SIZE = struct.Struct("=I")


class Reading(NamedTuple):
    """A namespace's links, its addresses but lo's, and the routes of its main table that the kernel didn't make."""

    links: list[LinkMessage]
    addresses: list[AddressMessage]
    routes: list[RouteMessage]


def read_namespace(sock: Socket) -> Reading:
    """Those of the socket's namespace, now. Raises OSError."""
    return Reading(dump_links(sock), dump_addresses(sock), dump_routes(sock))


class Readings:
    """Those of the namespaces that have these names, being read ahead; they count if `still_true` when first asked for.

    To be made while the process has one thread; raises OSError where there is no process to be had.
    """

    def __init__(self, names: Sequence[str], still_true: Callable[[], bool]) -> None:
        self._still_true = still_true
        self._more: bool | None = None
        self._ready: dict[str, Reading] = {}
        self._memory, self._at = os.memfd_create("guestwire"), 0  # for a socket holds too little of it
        try:
            self._beside = Beside(partial(_send, names, self._memory))
        except OSError:
            os.close(self._memory)
            raise

    def take(self, name: str) -> Reading | None:
        """What the namespace of this name had, once; None where that isn't known."""
        if self._more is None:
            self._more = self._still_true()
        while self._more and name not in self._ready:
            self._more = self._receive()
        return self._ready.pop(name, None)

    def close(self) -> None:
        """End the process beside us; what wasn't taken is forgotten."""
        self._beside.close()
        os.close(self._memory)
        self._ready.clear()

    def _receive(self) -> bool:
        """Take in what was sent at once; whether there was any more."""
        told = self._beside.socket.recv(_SIZE.size, socket.MSG_WAITALL)
        if len(told) < _SIZE.size:
            return False
        size = _SIZE.unpack(told)[0]
        for name, links, addresses, routes in marshal.loads(os.pread(self._memory, size, self._at)):
            self._ready[name] = Reading(
                [LinkMessage(*link) for link in links],
                [AddressMessage(*address) for address in addresses],
                [RouteMessage(*route) for route in routes],
            )
        self._at += size
        return True


def _send(names: Sequence[str], memory: int, there: socket.socket) -> None:
    """In the process beside us: read them and hand them over. One that isn't there, or can't be read, is left out."""
    for start in range(0, len(names), PARCEL):
        parcel = []
        for name in names[start : start + PARCEL]:
            with contextlib.suppress(OSError):
                fd = namespaces.open_namespace(name)
                setns(fd, CLONE_NEWNET)
                sock = Socket()
                parcel.append((name, *(list(map(tuple, told)) for told in read_namespace(sock))))
                sock.close()
                os.close(fd)
        data = marshal.dumps(parcel)
        os.write(memory, data)
        there.send(_SIZE.pack(len(data)))
