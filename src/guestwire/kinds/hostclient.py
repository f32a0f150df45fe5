"""A DHCP client that somebody else has started on a host's NIC: udhcpc, dhclient or dhcpcd by itself.

It asks by frames of its own, which a bridge's port doesn't give it any more. No client can be told to go on with
another link. So it is killed, which keeps it from taking the address away or giving it back to the server, and started
with the same words, but for the link's name. The server knows the host by its MAC, which the bridge has, and gives the
same address. Until it does, some seconds at most, the address may be away: the client's script has that in its hands.

Not so dhcpcd, which writes over its own command line; nor a client of several links, or one that a program like
NetworkManager runs, which would start it again.
"""

from __future__ import annotations

import contextlib
import os
import shlex
import signal
from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass, replace
from typing import ClassVar

from guestwire.kinds.address import AnyAddress
from guestwire.kinds.route import AnyRoute
from guestwire.kinds.thing import Thing
from guestwire.linux import namespaces
from guestwire.linux.kernel import Kernel
from guestwire.linux.processes import held
from guestwire.linux.programs import command_line, has_ended, start_program
from guestwire.picture import Value, fact, fixed
from guestwire.places import RUN

__all__ = ["HostClient", "passes"]

PROGRAMS = ("udhcpc", "dhclient", "dhcpcd")
RUN_BY = ("NetworkManager", "connmand", "wickedd")
USUAL = "eth0"  # of udhcpc, where it isn't told
END = 3  # seconds
SPECIAL = set(".[](){}*+?^$|\\")  # to pkill, which takes a regular expression


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class HostClient(Thing):
    """A client; `name` is its command line. `links` are those that it asks on, as far as it says."""

    KIND: ClassVar[str] = "host's dhcp client"
    RANK: ClassVar[int] = 70
    DUMPED: ClassVar[bool] = True
    MARKED: ClassVar[bool] = False

    command: tuple[str, ...] = fixed(())
    links: tuple[str, ...] = fixed(())
    pid: int = fact(0)
    parent: str = fact("")

    @classmethod
    def dump_all(cls, kernel: Kernel, links: Mapping[str, Mapping[int, Thing]]) -> Iterator[Thing]:
        """Those of all the namespaces by one look through /proc."""
        inside = {namespaces.identity(kernel.fd(netns)): netns for netns in links}
        for netns, pid, command in _clients(inside):
            yield cls(
                netns=netns,
                name=shlex.join(command),
                command=command,
                links=_links(command, {link.name for link in links[netns].values()}),
                pid=pid,
                parent=_parent(pid),
            )

    @property
    def program(self) -> str:
        """Its name, without its folder."""
        return _program(self.command)

    def places(self) -> tuple[tuple[str, str], ...]:
        """The links that it asks on, each with the namespace."""
        return tuple((self.netns, link) for link in self.links)

    @property
    def goes_first(self) -> bool:
        return True

    def moved(self, old: str, new: str) -> HostClient | None:
        if old not in self.links:
            return None
        heads = ("", "-i", "--interface=")
        words = tuple(next((h + new for h in heads if word == h + old), word) for word in self.command)
        if words == self.command:
            words = (*words, "-i", new)
        links = tuple(new if link == old else link for link in self.links)
        return replace(self, name=shlex.join(words), command=words, links=links)

    def uncarried(self) -> str | None:
        if self.program == "dhcpcd":
            return "dhcpcd writes over its own command line, so it can't be started on another link as it was"
        if len(self.links) != 1:
            return "it asks on other links too"
        return f"{self.parent} runs it, and would start it again" if self.parent in RUN_BY else None

    def create(self, kernel: Kernel) -> None:
        kernel.flush()
        with kernel.inside(self.netns):
            start_program(self.command)

    def change(self, kernel: Kernel, seen: Value) -> None:
        """It has no settings."""

    def delete(self, kernel: Kernel) -> None:
        """Kill it, so that it can take nothing away."""
        kernel.flush()
        for _, pid, command in _clients({namespaces.identity(kernel.fd(self.netns)): self.netns}):
            if command == self.command:
                with held(pid, lambda pid: command_line(pid) == self.command) as handle:
                    if handle is not None:
                        signal.pidfd_send_signal(handle, signal.SIGKILL)
                        has_ended(handle, END)

    def create_commands(self) -> list[str]:
        where = f"ip netns exec {self.netns} " if self.netns else ""
        return [f"{where}setsid --fork {shlex.join(self.command)} </dev/null >/dev/null 2>&1"]

    def change_commands(self, seen: Value) -> list[str]:
        return []

    def delete_commands(self) -> list[str]:
        """Of who has the same words, those in this namespace: another may be a container's."""
        words = "".join(f"\\{char}" if char in SPECIAL else char for char in " ".join(self.command))
        kill = f"pkill -KILL -xf --ns $$ --nslist net {shlex.quote(words)}"
        return [f"ip netns exec {self.netns} sh -c {shlex.quote(f'exec {kill}')}" if self.netns else kill]

    def on_links(self) -> tuple[tuple[str, str], ...]:
        return ()  # it outlives them

    def uses(self) -> tuple[tuple[str, str], ...]:
        return ()

    def namespaces(self) -> tuple[str, ...]:
        return ()


def passes(value: Thing, asking: Set[tuple[str, str]]) -> bool:
    """Whether something goes and comes by itself: learnt, with a lifetime, or maybe set by a client, as it sees fit.

    `asking` are the links that clients ask on.
    """
    if value.fleeting or not isinstance(value, AnyAddress | AnyRoute):
        return value.fleeting
    return value.ends or (value.family == 4 and not asking.isdisjoint(value.on_links()))


def _clients(inside: Mapping[int, str]) -> Iterator[tuple[str, int, tuple[str, ...]]]:
    """The clients in these namespaces, named by their identities, that aren't ours; each with its words."""
    with contextlib.suppress(FileNotFoundError):
        for pid in map(int, filter(str.isdigit, os.listdir("/proc"))):
            command = command_line(pid)
            if _program(command) in PROGRAMS and not any(word.startswith(f"{RUN}/") for word in command):
                with contextlib.suppress(OSError):
                    netns = inside.get(os.stat(f"/proc/{pid}/ns/net").st_ino)
                    if netns is not None:
                        yield netns, pid, command


def _program(command: tuple[str, ...]) -> str:
    words = [os.path.basename(word) for word in command[:2]]
    if words[:1] == ["busybox"]:
        words = words[1:]
    return words[0].partition(":")[0].partition(" ")[0] if words else ""


def _links(command: tuple[str, ...], names: set[str]) -> tuple[str, ...]:
    """The links that a client's words name, of those that there are; all where it names none."""
    said = [word.removeprefix("--interface=") for text in command[1:] for word in text.split()]
    said += [word[2:] for word in command[1:] if word.startswith("-i")]
    found = tuple(dict.fromkeys(word for word in said if word in names))
    if found or _program(command) != "udhcpc":
        return found or tuple(sorted(names))
    return (USUAL,)


def _parent(pid: int) -> str:
    """The name of the program that started it and waits for its end, as far as it is known."""
    try:
        with open(f"/proc/{pid}/stat", errors="replace") as file:
            parent = file.read().rpartition(")")[2].split()[1]
        with open(f"/proc/{parent}/comm", errors="replace") as file:
            return file.read().strip()
    except (OSError, IndexError):
        return ""
