"""exec and pcap: into a guest, and at one of its NICs; and which guest a name means."""

from __future__ import annotations

import contextlib
import errno
import os
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, BinaryIO

from guestwire import rootless
from guestwire.api.work import owner_of
from guestwire.apply import Store, projects
from guestwire.errors import GuestwireError, Unavailable, UsageError
from guestwire.kinds.vm import folder_of
from guestwire.linux import namespaces
from guestwire.linux.inside import run
from guestwire.linux.kernel import Kernel
from guestwire.linux.packets import Captured, capture, watch
from guestwire.linux.rtnetlink import dump_links
from guestwire.linux.userns import capable
from guestwire.places import PLACES

if TYPE_CHECKING:
    from guestwire.compile import BuiltGuest

__all__ = ["AGENT_PATIENCE", "Found", "execute", "find", "find_guest", "find_nic", "pcap"]

SHOWN = 10  # guests that are named where there is none of a name
AGENT_PATIENCE = 5.0
"""Seconds that a virtual machine's agent gets to answer, unless somebody says otherwise."""


@dataclass(frozen=True)
class Found:
    """A guest that is up, or a lab's place: its namespace, or the folder of its virtual machine; the other is ""."""

    project: str
    name: str
    netns: str = ""
    folder: str = ""


def find(name: str) -> Found | None:
    """The guest "web" or "PROJECT/web"; also a lab's host, lan, gateway and internet. None where it is neither.

    Raises UsageError where several projects have one.
    """
    project, _, guest = name.rpartition("/")
    if not capable():
        _get_in(project, guest)
    there = set(namespaces.names())
    found = []
    for each in projects():
        netns, folder = f"{each}-{guest}", folder_of(f"{each}/{guest}")
        if project in ("", each) and netns in there and owner_of(netns) == each:
            if not namespaces.exists(netns):
                hint = "Start it; `guestwire up` then plugs it in again."
                raise Unavailable(f"the container of guest {guest} doesn't run any more.", hint=hint)
            found.append(Found(each, guest, netns=netns))
        elif project in ("", each) and os.path.isdir(folder):
            found.append(Found(each, guest, folder=folder))
    if len(found) > 1:
        choices = ", ".join(f"{one.project}/{guest}" for one in found)
        raise UsageError(f"several projects have a {guest}.", hint=f"Say which: {choices}.")
    return found[0] if found else None


def find_guest(name: str) -> Found:
    """The same; raises UsageError where there is none."""
    found = find(name)
    if found is not None:
        return found
    project, _, guest = name.rpartition("/")
    built = _in_a_file(project, guest)
    if built is not None:
        message = f"guest {guest} is a {built.kind}: it has no namespace to go into."
        if built.HAS_NAMESPACE:
            message = f"guest {guest} is in the file, and not there."
        raise UsageError(message, hint="`guestwire status` shows all guests, and their NICs on the host.")
    names = namespaces.names()
    known = ((each, there) for each in projects() for there in names if there.startswith(f"{each}-"))
    own = (there.removeprefix(f"{each}-") for each, there in known if owner_of(there) == each)
    guests = list(islice((guest for guest in own if guest not in PLACES), SHOWN + 1))
    shown = ", ".join(sorted(guests[:SHOWN]))
    hint = f"There is {shown}{' …' if len(guests) > SHOWN else ''}." if guests else "No project is up."
    raise UsageError(f"there is no guest {name}.", hint=hint)


def _in_a_file(project: str, guest: str) -> BuiltGuest | None:
    """The guest of that name in the file of a project that is up, or None."""
    # Only here: what reads files takes longer to load than a guest that is found takes to be gone into.
    from guestwire.compile import BuiltGuest
    from guestwire.guests import KINDS
    from guestwire.networks import TYPES
    from guestwire.spec import load

    for state in (Store(each).standing() for each in projects() if project in ("", each)):
        with contextlib.suppress(GuestwireError):
            file = load(state.file, networks=TYPES, guests=KINDS) if state and state.file else None
            found = file.instance(guest) if file else None
            if found is not None and isinstance(found.guest, BuiltGuest):
                return found.guest
    return None


def _get_in(project: str, guest: str) -> None:
    """Go into this user's lab that has the guest; as it is seen from outside, through its keeper's root."""
    labs = [
        holder.project
        for holder in rootless.holders()
        if project in ("", holder.project)
        for place in (namespaces.path(f"{holder.project}-{guest}"), folder_of(f"{holder.project}/{guest}"))
        if os.path.lexists(f"/proc/{holder.pid}/root{place}")
    ]
    if len(labs) > 1:
        choices = ", ".join(f"{lab}/{guest}" for lab in labs)
        raise UsageError(f"several projects have a {guest}.", hint=f"Say which: {choices}.")
    if labs:
        rootless.enter(labs[0], make=False)


def execute(guest: str, command: list[str], *, patience: float = AGENT_PATIENCE, silent: bool = False) -> int:
    """Run a command in a guest, as `ip netns exec` would; in a virtual machine by its agent. Its exit code.

    With `silent` what it writes to standard output goes to standard error.
    Raises Unavailable where a machine has no agent that answers within so many seconds.
    """
    found = find_guest(guest)
    if found.folder:
        from guestwire.api.machine import run_by_agent

        return run_by_agent(found, command, patience, silent=silent)
    with Kernel() as kernel:
        return run(kernel.fd(found.netns), found.netns, command, silent=silent)


def find_nic(guest: str) -> tuple[str, str]:
    """The namespace and link of a guest's NIC: "web:eth1", or "web" for the first. Raises UsageError where it isn't.

    Of a virtual machine, and of a program, that is the NIC's link on the host.
    """
    name, _, nic = guest.partition(":")
    found = find(name)
    if found is not None and found.netns:
        with Kernel() as kernel:
            links = {link.name: link.name for link in dump_links(kernel.socket(found.netns)) if link.name != "lo"}
        netns = found.netns
    else:
        project = found.project if found else name.rpartition("/")[0]
        netns, links = _on_the_host(project, name.rpartition("/")[2]) or (find_guest(name).netns, {})
    if not links or (nic and nic not in links):
        what = f"{name} has no NIC {nic}." if nic else f"{name} has no NIC."
        raise UsageError(what, hint=f"It has {', '.join(links)}." if links else "`guestwire status` shows all NICs.")
    return netns, links[nic or next(iter(links))]


def _on_the_host(project: str, guest: str) -> tuple[str, dict[str, str]] | None:
    """The host's namespace, and the links there that a guest's NICs are, by the NICs' names; None where it has none."""
    from guestwire.api.situation import situation

    for each in projects():
        state = Store(each).standing() if project in ("", each) else None
        if state is None or not state.file:
            continue
        where = situation(state.file, lab=state.lab, project=each, netns=None)
        instance = where.file.instance(guest)
        if instance is None:
            continue
        with Kernel() as kernel:
            where.plan(kernel)
        assert where.site is not None
        seats = [where.site.seats[guest, nic.index] for nic in instance.guest.nics]
        links = {seat.nic.link: seat.host_link for seat in seats if seat.netns == where.host}
        links |= {link: link for link in links.values()}  # a program's NIC is known by no other name
        return (where.host, links) if links else None
    return None


def pcap(guest: str, out: BinaryIO, *, count: int | None = None) -> Captured:
    """Write the frames of a guest's NIC ("web", "web:eth1") to `out` until `count`, the reader or a signal ends it.

    Raises Unavailable where the NIC goes down or away.
    """
    netns, link = find_nic(guest)
    with Kernel() as kernel:
        with kernel.inside(netns):
            sock = watch(link)
        try:
            return capture(sock, out, count=count)
        except OSError as error:
            if error.errno not in (errno.ENETDOWN, errno.ENODEV, errno.ENXIO):
                raise
            message = f"{link} of {guest} is down, or has gone."
            raise Unavailable(message, hint="`guestwire status` says how its NICs stand.") from error
        finally:
            sock.close()
