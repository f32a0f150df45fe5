"""A DHCP client: asks the servers on a NIC's segment for an address, sets it, and renews it before its time is over.

A server lends an address for a time, the *lease*. The client sends DISCOVER to all, takes one OFFER by REQUEST, and
has it from the ACK on; after half the time it asks that server to renew, after seven eighths any server (RFC 2131,
4.4.5). It is known to the server by its MAC, so the same NIC gets the same address while that is free.

The client is busybox's udhcpc. Tried beside it were dhcpcd 9.4 (2.3 MB of memory a NIC to 0.6, 2.5 s for a hundred
leases to 0.5, files at places that are compiled in, a user of its own that a lab without root can't change to, a
command line that it writes over) and systemd-networkd (wants udev, D-Bus and a user of its own in each namespace);
dhclient has had no maintainer since 2022. udhcpc keeps no file but its pid's, leaves the rest to one script (dhcp.sh
beside this file), and is in every distribution. It speaks IPv4 only: IPv6 addresses come from the kernel, wherever a
router advertises (RFC 4862); DHCPv6 isn't asked.

A container's namespace lives while a process is in it, and the client is one. So where the container has ended and
nobody has seen that, its address answers until the client's next event, a renewal: there the script looks, and ends it.

What the client sets bears no mark: it is the client's, and goes with it. The lease is noted in a file beside the pid
file; while that is there, a client that was killed is still known by what it has left.
"""

from __future__ import annotations

import contextlib
import os
import select
import shlex
import time
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar

from guestwire.errors import Problem
from guestwire.kinds.address import Address
from guestwire.kinds.file import File
from guestwire.kinds.pidfile import end_noted
from guestwire.kinds.process import Process
from guestwire.kinds.route import Route
from guestwire.linux.inotify import Watch
from guestwire.linux.kernel import Kernel
from guestwire.linux.netlink import Socket
from guestwire.linux.programs import find_program, run_program, start_program
from guestwire.linux.routes import DEFAULTS
from guestwire.picture import Key, fact, fixed

__all__ = ["DhcpClient", "Lease", "without_lease"]

SCRIPT = str(Path(__file__).with_suffix(".sh"))
METRIC = 100  # of a leased default route: one that the file gives, of metric 0, goes before it
LEASED = ("address", "server", "router", "dns", "since", "until", "renewed")  # what JSON has of a lease
VARIABLES = b"LEASE_"
TRIES, INTERVAL, PAUSE = 5, 1, 5  # it asks five times, every second, and again after five more
FORGET = 5  # seconds that taking a lease's address away may take
PROGRAMS = {"udhcpc": "udhcpc", "ip": "iproute2", "setsid": "util-linux"}  # and the packages that they are in


@dataclass(frozen=True, slots=True)
class Lease:
    """What a server lent: `address` with prefix, since when (seconds since 1970) and for how many seconds.

    It is set on `link`; `resolv` is the resolv.conf that was written, "" where none was.
    """

    link: str
    resolv: str
    address: str
    server: str
    router: str
    dns: tuple[str, ...]
    since: int
    seconds: int
    renewed: int

    @classmethod
    def read(cls, path: str) -> Lease | None:
        """The lease that a file tells of, or None where there is none yet."""
        try:
            with open(path) as file:
                noted = dict(line.rstrip("\n").partition("=")[::2] for line in file)
        except FileNotFoundError:
            return None
        try:
            since, seconds, renewed = (int(noted[name]) for name in ("since", "seconds", "renewed"))
            link, resolv, address, server, router = (
                noted[name] for name in ("link", "resolv", "address", "server", "router")
            )
        except (KeyError, ValueError):
            return None
        return cls(link, resolv, address, server, router, tuple(noted["dns"].split()), since, seconds, renewed)

    @property
    def plain(self) -> str:
        """The address without its prefix."""
        return self.address.partition("/")[0]

    @property
    def until(self) -> datetime | None:
        """When it ends unless it is renewed; None for never."""
        return None if self.seconds >= 0xFFFFFFFF else datetime.fromtimestamp(self.since + self.seconds, UTC)

    def to_json(self) -> dict[str, Any]:
        """As JSON knows it."""
        since = datetime.fromtimestamp(self.since, UTC).isoformat()
        until = self.until.isoformat() if self.until else None
        found = (self.address, self.server or None, self.router or None, list(self.dns), since, until, self.renewed)
        return dict(zip(LEASED, found, strict=True))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class DhcpClient(Process):
    """A client for one NIC; `environment` is what its script is told, beside the client's own words."""

    KIND: ClassVar[str] = "dhcp client"
    RANK: ClassVar[int] = 70
    """After the servers, which are processes too."""

    environment: tuple[str, ...] = fixed(())
    lease: Lease | None = fact()

    @classmethod
    def on(
        cls,
        netns: str,
        link: str,
        pidfile: str,
        *,
        owner: str,
        mac: str,
        hostname: str,
        default: bool,
        resolv: str,
        keeper: int = 0,
    ) -> DhcpClient:
        """A client for a link, which the server knows by `mac` (RFC 2132, 9.14) and is told its `hostname`.

        With `default` it sets the default route; `resolv` is the resolv.conf that it writes; `keeper` the process that
        the namespace is there for, where it isn't ours.
        """
        identity = ("-C", "-x", f"0x3d:01{mac.replace(':', '')}", "-x", f"hostname:{hostname}", "-O", "staticroutes")
        pace = ("-t", str(TRIES), "-T", str(INTERVAL), "-A", str(PAUSE))
        command = ("udhcpc", "-f", "-R", "-i", link, "-p", pidfile, "-s", SCRIPT, *identity, *pace)
        environment = _environment(pidfile, owner, default=default, resolv=resolv, keeper=keeper)
        return cls(netns=netns, name=pidfile, owner=owner, command=command, environment=environment)

    def moved(self, old: str, new: str) -> DhcpClient | None:
        """The same client on another link, known to the server as before."""
        if self.link != old or not self.command:
            return None
        words = list(self.command)
        words[words.index("-i") + 1] = new
        return replace(self, command=tuple(words))

    @classmethod
    def read(cls, kernel: Kernel, key: Key) -> DhcpClient | None:
        found = super(DhcpClient, cls).read(kernel, key)
        lease = Lease.read(_record(key.name))
        if isinstance(found, DhcpClient):
            return replace(found, environment=_told(found.pid), lease=lease)
        owner = os.path.basename(os.path.dirname(key.name))
        return cls(netns=key.netns, name=key.name, owner=owner, command=(), lease=lease) if lease else None

    @property
    def link(self) -> str:
        """The link that it asks on."""
        if self.command:
            return self.command[self.command.index("-i") + 1] if "-i" in self.command[:-1] else ""
        return self.lease.link if self.lease else ""

    def title(self) -> str:
        return f"DHCP client on {self.link} (udhcpc)"

    def standing(self) -> dict[str, Any]:
        """How it stands, as JSON knows it: the lease, nulls where there is none yet, and whether the client runs."""
        return {"running": self.pid > 0, **(self.lease.to_json() if self.lease else dict.fromkeys(LEASED))}

    def carries(self) -> tuple[Key, ...]:
        if self.lease is None:
            return ()
        address = Key("", self.netns, Address.KIND, f"{self.lease.address} {self.lease.link}")
        route = Key("", self.netns, Route.KIND, f"{DEFAULTS[4]} metric {METRIC}")
        return (address, route, Key("", "", File.KIND, self.lease.resolv))

    def uses(self) -> tuple[tuple[str, str], ...]:
        return ((self.netns, self.link),)

    def can_return(self) -> bool:
        return bool(self.command)

    def lacks(self, sock: Socket) -> Problem | None:
        for program, package in PROGRAMS.items():
            if find_program(program) is None:
                message = f"a guest's NIC asks for its address by DHCP, and `{program}` is missing."
                return Problem(message, f"Install the package {package}, or give the NIC an address.")
        return None

    def create(self, kernel: Kernel) -> None:
        assert self.command is not None
        kernel.flush()
        end_noted(self.name)
        os.makedirs(os.path.dirname(self.name), mode=0o700, exist_ok=True)
        with kernel.inside(self.netns):
            start_program(self.command, self.environment)

    def delete(self, kernel: Kernel) -> None:
        """End it, which gives the lease back to the server; what a killed one has left is taken away."""
        super(DhcpClient, self).delete(kernel)
        lease = Lease.read(_record(self.name))
        if lease is not None:
            told = _environment(self.name, self.owner or "", default=False, resolv=lease.resolv, keeper=0)
            try:
                with kernel.inside(self.netns):
                    run_program(("env", *told, f"interface={lease.link}", SCRIPT, "deconfig"), FORGET)
            except FileNotFoundError:  # its container has ended, and the address with it
                os.unlink(_record(self.name))

    def create_commands(self) -> list[str]:
        where = f"ip netns exec {self.netns} " if self.netns else ""
        words = shlex.join(["env", *self.environment, "setsid", "--fork", *(self.command or ())])
        return [f"mkdir -p {shlex.quote(os.path.dirname(self.name))}", f"{where}{words} </dev/null >/dev/null 2>&1"]

    def delete_commands(self) -> list[str]:
        """It takes its pid file away when it has given its lease back."""
        name = shlex.quote(self.name)
        return [f"kill $(cat {name}); while [ -e {name} ]; do sleep 0.1; done"]


def _record(pidfile: str) -> str:
    """Where a client's lease is noted."""
    return f"{pidfile.removesuffix('.pid')}.lease"


def _environment(pidfile: str, owner: str, *, default: bool, resolv: str, keeper: int) -> tuple[str, ...]:
    """What the script is told, in the order of the names."""
    told = {"FILE": _record(pidfile), "KEEPER": keeper or "", "METRIC": METRIC if default else "", "OWNER": owner}
    told["RESOLV"] = resolv
    return tuple(f"LEASE_{name}={value}" for name, value in told.items())


def _told(pid: int) -> tuple[str, ...]:
    """What a running client's script is told (proc_pid_environ(5)); nothing where it has ended."""
    try:
        with open(f"/proc/{pid}/environ", "rb") as file:
            words = file.read().split(b"\0")
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return ()
    return tuple(sorted(word.decode(errors="replace") for word in words if word.startswith(VARIABLES)))


def without_lease(clients: Iterable[DhcpClient], patience: float) -> list[DhcpClient]:
    """Wait for the leases of clients; those that have none once for `patience` seconds none has come.

    All ask at the same time; what is waited for is the file that each one's script writes last. Where the kernel gives
    no watch over those (inotify(7) has limits), nothing is waited for.
    """
    waiting = {_record(client.name): client for client in clients}
    if waiting and patience > 0:
        with contextlib.suppress(OSError), Watch({os.path.dirname(path) for path in waiting}) as watch:
            _wait(watch, {path for path in waiting if Lease.read(path) is None}, patience)
    return [client for path, client in waiting.items() if Lease.read(path) is None]


def _wait(watch: Watch, waiting: set[str], patience: float) -> None:
    news = select.poll()
    news.register(watch, select.POLLIN)
    deadline = time.monotonic() + patience
    while waiting and (left := deadline - time.monotonic()) > 0 and news.poll(left * 1000):
        come = waiting.intersection(watch.news())
        if come:
            waiting -= come
            deadline = time.monotonic() + patience
