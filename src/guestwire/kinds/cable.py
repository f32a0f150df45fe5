"""A cable from a guest's NIC to a tap or macvtap on the host: guestwire holds both descriptors, as a hypervisor would.

A namespace wants a link and a tap ends in a descriptor, so nothing but a program can join the two (`ip link` has no
word for it). Here that program is one small process a project (`frames/`). So a frame goes from a namespace to the LAN
the same way as from a virtual machine: out of the guest's NIC, through a descriptor into the tap, from there through
the bridge; with a macvtap, straight to the parent. The price is two more copies of each frame.

The guest's NIC is a tap too, of which guestwire plays the cable's far end. Both ends have the virtio-net header and
the same offloads, so that a sender's segments of 64 KiB cross whole (Documentation/networking/tuntap.rst).

Links and namespaces stay while their descriptors are held, so cables are pulled out before these go. Where the process
is killed the links stay too, without a carrier, and the guest keeps its addresses; `up` then plugs in anew. A cable
whose link has been made anew by somebody else leads nowhere: each end is known by its namespace's inode and its index.
So does, as far as anybody can tell, one whose process lost its socket: nobody can ask it, and `up` puts another in its
place.
"""

from __future__ import annotations

import errno
import glob
import os
import shlex
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

from guestwire.errors import Problem, Unavailable
from guestwire.frames import client
from guestwire.frames.cable import HEADER
from guestwire.kinds.pidfile import end, says
from guestwire.kinds.thing import Thing
from guestwire.linux import tuntap
from guestwire.linux.kernel import Kernel
from guestwire.linux.netlink import Socket
from guestwire.picture import Key, Value, fact, setting
from guestwire.places import RUN

__all__ = ["SOCKET", "Cable", "Counted"]

SOCKET = "cables"
OFFLOADS = (
    tuntap.TUN_F_CSUM
    | tuntap.TUN_F_TSO4
    | tuntap.TUN_F_TSO6
    | tuntap.TUN_F_TSO_ECN
    | tuntap.TUN_F_USO4
    | tuntap.TUN_F_USO6
)

Counted = tuple[int, int, int]
"""Frames and bytes that were carried, and frames that were dropped."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Cable(Thing):
    """A cable from the NIC `name` of a guest's namespace to its `end`: namespace, link and device, "tap" or "macvtap".

    A cable that leads nowhere has no end. `sent` is what the guest sent, `received` what came for it.
    """

    KIND: ClassVar[str] = "cable"
    RANK: ClassVar[int] = 58
    NAMED: ClassVar[bool] = True
    OUTLASTS: ClassVar[bool] = True

    end: tuple[str, str, str] | None = setting()
    sent: Counted = fact((0, 0, 0))
    received: Counted = fact((0, 0, 0))
    pid: int = fact(0)

    @classmethod
    def read_all(cls, kernel: Kernel, keys: Iterable[Key] | None) -> Iterator[Thing]:
        """Those of the cables that have such a key, or all that can be asked for; each process is asked once.

        Raises Unavailable where one doesn't answer.
        """
        wanted = None if keys is None else set(keys)
        missing = set(wanted or ())
        for path in sorted(glob.glob(f"{RUN}/*/{SOCKET}")):
            project = os.path.basename(os.path.dirname(path))
            try:
                found = list(client.listed(path))
            except OSError as error:
                message = f"the process that holds the cables of project {project} doesn't answer ({error})."
                hint = f"End it with kill -9 (`pgrep -f {path}` tells which it is); `guestwire up` starts another."
                raise Unavailable(message, hint=hint) from error
            for each in found:
                cable = cls._parse(kernel, project, each)
                if wanted is None or cable.key in wanted:
                    missing.discard(cable.key)
                    yield cable
        if missing:
            yield from cls._unreachable(missing)

    @classmethod
    def _unreachable(cls, missing: set[Key]) -> Iterator[Thing]:
        """Cables of those keys that may be held by a process whose socket was deleted."""
        for path, pids in client.holders().items():
            project = os.path.basename(os.path.dirname(path))
            if not os.path.exists(path):
                for key in sorted(key for key in missing if key.netns.startswith(f"{project}-")):
                    yield cls(netns=key.netns, name=key.name, owner=project, pid=pids[0])

    @classmethod
    def _parse(cls, kernel: Kernel, project: str, told: client.Listed) -> Cable:
        (netns, name, *near), (home, link, device, *far) = told.label
        plugged = kernel.identity(netns, name) == tuple(near) and kernel.identity(home, link) == tuple(far)
        return cls(
            netns=netns,
            name=name,
            owner=project,
            end=(home, link, device) if plugged else None,
            sent=(told.out.frames, told.out.octets, told.out.drops),
            received=(told.back.frames, told.back.octets, told.back.drops),
            pid=told.pid,
        )

    def counters(self) -> dict[str, Any]:
        """What it has carried, and the process that holds it, as JSON knows them."""
        names = ("frames", "bytes", "drops")
        ways = {"sent": self.sent, "received": self.received}
        return {"pid": self.pid, **{way: dict(zip(names, found, strict=True)) for way, found in ways.items()}}

    @property
    def _socket(self) -> str:
        return f"{RUN}/{self.owner}/{SOCKET}"

    @property
    def _called(self) -> str:
        return _written(self.netns, self.name)

    def lacks(self, sock: Socket) -> Problem | None:
        """Whether we may open a macvtap's node, which takes root outside of any user namespace."""
        if self.end is None or self.end[2] != "macvtap":
            return None
        try:
            tuntap.try_node()
        except OSError as error:
            message = f"a macvtap's device node can't be opened here ({error.strerror}), so no cable can lead to one."
            return Problem(message, "Do it as root, or leave device out: then the guest gets a macvlan.")
        return None

    def trial_name(self) -> str:
        return f"{self.KIND} to a {self.end[2] if self.end else None}"

    def create(self, kernel: Kernel) -> None:
        assert self.end is not None
        home, link, device = self.end
        near = self._open(kernel, self.netns, self.name, "tap")
        try:
            far = self._open(kernel, home, link, device)
            try:
                _match(near, far)
                label = (
                    (self.netns, self.name, *kernel.identity(self.netns, self.name)),
                    (*self.end, *kernel.identity(home, link)),
                )
                client.add(self._socket, self._called, near, far, label)
            finally:
                os.close(far)
        finally:
            os.close(near)

    def _open(self, kernel: Kernel, netns: str, link: str, device: str) -> int:
        """A descriptor of a link that is there. Where a cable of this name holds it yet, that is pulled out first."""
        kernel.index(netns, link)  # opening a tap that isn't there would make one

        def opened() -> int:
            if device == "macvtap":
                return tuntap.open_macvtap(link, vnet_header=True, blocking=False)
            return tuntap.attach(link, vnet_header=True, blocking=False)

        try:
            return kernel.call(netns, opened)
        except OSError as error:
            if error.errno != errno.EBUSY:
                raise
        self._pull_out()
        return kernel.call(netns, opened)

    def change(self, kernel: Kernel, seen: Value) -> None:
        self.create(kernel)

    def delete(self, kernel: Kernel) -> None:
        kernel.flush()
        self._pull_out()

    def _pull_out(self) -> None:
        """Have its process let go of it; one that can't be asked, since its socket was deleted, is ended."""
        if not client.remove(self._socket, self._called):
            for pid in client.holders().get(self._socket, ()):
                end(pid, says(self._socket))

    def why_refused(self, number: int) -> str | None:
        if number == errno.EBUSY:
            ends = " or ".join(link for _, link in self.on_links())
            return f"Another program holds {ends}: a tap has one queue."
        if number in (errno.EMFILE, errno.ENFILE):
            return "Each cable takes two open files: raise the limit (`ulimit -Hn`)."
        return None

    def on_links(self) -> tuple[tuple[str, str], ...]:
        return ((self.netns, self.name), *([self.end[:2]] if self.end else []))

    def namespaces(self) -> tuple[str, ...]:
        return ()  # its process keeps the namespace

    def create_commands(self) -> list[str]:
        assert self.end is not None
        return [shlex.join(("guestwire", "cable", "add", str(self.owner), self._called, _written(*self.end[:2])))]

    def change_commands(self, seen: Value) -> list[str]:
        return self.create_commands()

    def delete_commands(self) -> list[str]:
        return [shlex.join(("guestwire", "cable", "del", str(self.owner), self._called))]


def _written(netns: str, link: str) -> str:
    return f"{netns}/{link}" if netns else link


def _match(near: int, far: int) -> None:
    """Give both ends the header and the offloads that both can have: then a frame can cross as it is."""
    having = [tuntap.set_offload(fd, OFFLOADS) for fd in (near, far)]
    for fd in (near, far):
        if having[0] != having[1]:
            tuntap.set_offload(fd, having[0] & having[1])
        tuntap.set_header_size(fd, HEADER)
