"""The process that holds all cables of a project: started once, asked by its socket, gone with its last cable.

    python -P -m guestwire.frames.server /run/guestwire/PROJECT/cables

Descriptor 0 is its first connection, so it is never without somebody until it has a cable: it ends where it has neither
a cable nor anybody who is connected. A starter that is killed leaves no process behind. It says that it is ready by
going into the background.

It gets descriptors that are open already (SCM_RIGHTS, unix(7)), so it needs no rights, and gives them up; and it is in
no guest's namespace. It imports next to nothing: a start takes some 30 ms and its memory is that of an empty Python.

One packet is one request, answered by one: JSON, as `client.py` has them.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import resource
import socket
import sys
from typing import Any, NoReturn

from guestwire.frames.cable import Cables
from guestwire.linux.privileges import give_up

__all__ = ["PACKET", "serve"]

PACKET = 1 << 17  # bytes of the longest request or answer
PAGE = 128  # cables in one answer
ENDS = 2
SPARE = 32  # descriptors for connections and the like


class _Server:
    def __init__(self, path: str, listener: socket.socket, first: socket.socket) -> None:
        self.path = path
        self.most = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        self.cables = Cables()
        self.connections: set[socket.socket] = set()
        self.listener = listener
        self.cables.watch(listener.fileno(), self.accept)
        self.connect(first)

    def accept(self) -> None:
        """Take a new connection, if whoever wanted one is still there."""
        with contextlib.suppress(OSError):
            self.connect(self.listener.accept()[0])

    def connect(self, connection: socket.socket) -> None:
        """Take requests from it."""
        connection.setblocking(False)
        self.connections.add(connection)
        self.cables.watch(connection.fileno(), lambda: self.request(connection))

    def request(self, connection: socket.socket) -> None:
        """Answer one request, or see that nobody is there any more."""
        try:
            packet, fds, flags, _ = socket.recv_fds(connection, PACKET, ENDS)
        except (BlockingIOError, ConnectionResetError):
            packet, fds, flags = b"", [], 0
        if not packet:
            self.cables.unwatch(connection.fileno())
            self.connections.remove(connection)
            connection.close()
            if not self.connections and not self.cables.by_name:
                self.unlink()
                os._exit(0)
            return
        try:
            answer = self.answer(json.loads(packet), fds, cut=bool(flags & socket.MSG_CTRUNC))
        except OSError as error:
            answer = {"errno": error.errno, "error": error.strerror}
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
            # Of another version of guestwire, say: no reason to lose everybody's cables.
            answer = {"errno": errno.EPROTO, "error": f"it didn't understand the request ({error})"}
        for fd in fds:  # those that are no cable's
            os.close(fd)
        over = answer.get("left") == 0 and self.connections == {connection}
        if over:
            self.unlink()  # before the answer: whoever has it finds nobody here
        with contextlib.suppress(OSError):  # who doesn't read has no answer
            connection.send(json.dumps({**answer, "pid": os.getpid()}).encode())
        if over:
            os._exit(0)

    def answer(self, asked: dict[str, Any], fds: list[int], *, cut: bool) -> dict[str, Any]:
        """What a request is answered; takes from `fds` what is a cable's from now on.

        `cut`: some descriptors didn't get through, there being too many open.
        """
        if asked["do"] == "add" and len(fds) == ENDS and not cut and max(fds) < self.most - SPARE:
            name, label, near, far = asked["name"], asked["label"], *fds
            fds.clear()
            self.cables.add(name, near, far, label)
            return {}
        if asked["do"] == "add":
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
        found: dict[str, Any] = getattr(self, f"do_{asked['do']}")(asked)
        return found

    def do_remove(self, asked: dict[str, Any]) -> dict[str, Any]:
        """Away with a cable."""
        self.cables.remove(asked["name"])
        return {"left": len(self.cables.by_name)}

    def do_list(self, asked: dict[str, Any]) -> dict[str, Any]:
        """Cables from a number on, as many as one packet holds."""
        names = list(self.cables.by_name)[asked["first"] : asked["first"] + PAGE]
        found = [self.cables.by_name[name] for name in names]
        return {"cables": [[c.name, c.label, c.out.counters(), c.back.counters()] for c in found]}

    def unlink(self) -> None:
        """Take the socket away."""
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.path)


def serve(path: str) -> NoReturn:
    """Hold cables, and answer at the UNIX socket `path`, until there is nothing to do; descriptor 0 is a connection.

    Raises OSError with nothing left behind where the socket can't be had.
    """
    first = socket.socket(fileno=os.dup(0))
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    os.umask(0o077)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    beside = f"{path}.new"
    with contextlib.suppress(FileNotFoundError):
        os.unlink(beside)
    listener.bind(beside)
    listener.listen(64)
    os.rename(beside, path)  # so that a socket of that name which refuses is one whose process is gone
    if os.fork():
        os._exit(0)
    os.chdir("/")
    null = os.open(os.devnull, os.O_RDWR)
    for fd in range(3):
        os.dup2(null, fd)
    os.close(null)
    give_up()
    server = _Server(path, listener, first)
    while True:
        server.cables.turn()


if __name__ == "__main__":
    serve(sys.argv[1])
