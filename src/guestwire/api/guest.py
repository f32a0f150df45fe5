"""exec and pcap: into a guest, and at one of its NICs."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING, BinaryIO

from guestwire import rootless
from guestwire.apply import Store, projects
from guestwire.errors import GuestwireError, Unavailable, UsageError
from guestwire.linux import namespaces
from guestwire.linux.inside import run
from guestwire.linux.kernel import Kernel
from guestwire.linux.packets import Captured, capture, watch
from guestwire.linux.rtnetlink import dump_links
from guestwire.linux.userns import capable
from guestwire.places import PLACES

if TYPE_CHECKING:
    from guestwire.compile import BuiltGuest

__all__ = ["execute", "find_guest", "find_nic", "pcap"]


def find_guest(name: str) -> str:
    """The namespace of a guest, "web" or "PROJECT/web"; also of a lab's host, lan, gateway and internet.

    Raises UsageError where there is none of that name, or where several projects have one.
    """
    project, _, guest = name.rpartition("/")
    if not capable():
        _get_in(project, guest)
    there = set(namespaces.names())
    found = [f"{each}-{guest}" for each in projects() if project in ("", each) and f"{each}-{guest}" in there]
    if len(found) == 1:
        if not namespaces.exists(found[0]):
            hint = "Start it; `guestwire up` then plugs it in again."
            raise Unavailable(f"the container of guest {guest} doesn't run any more.", hint=hint)
        return found[0]
    if found:
        choices = ", ".join(f"{namespace.removesuffix(f'-{guest}')}/{guest}" for namespace in found)
        raise UsageError(f"several projects have a {guest}.", hint=f"Say which: {choices}.")
    built = _in_a_file(project, guest)
    if built is not None and not built.HAS_NAMESPACE:
        message = f"guest {guest} is a {built.kind}: it has no namespace to go into."
        raise UsageError(message, hint="`guestwire status` names its NICs on the host.")
    known = sorted(
        name.removeprefix(f"{each}-") for each in projects() for name in there if name.startswith(f"{each}-")
    )
    guests = [name for name in known if name not in PLACES]
    hint = f"There is {', '.join(guests[:10])}{' …' if len(guests) > 10 else ''}." if guests else "No project is up."
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
        and os.path.lexists(f"/proc/{holder.pid}/root{namespaces.path(f'{holder.project}-{guest}')}")
    ]
    if len(labs) > 1:
        choices = ", ".join(f"{lab}/{guest}" for lab in labs)
        raise UsageError(f"several projects have a {guest}.", hint=f"Say which: {choices}.")
    if labs:
        rootless.enter(labs[0], make=False)


def execute(guest: str, command: list[str]) -> int:
    """Run a command in a guest, as `ip netns exec` would; its exit code."""
    netns = find_guest(guest)
    with Kernel() as kernel:
        return run(kernel.fd(netns), netns, command)


def find_nic(guest: str) -> tuple[str, str]:
    """The namespace and link of a guest's NIC: "web:eth1", or "web" for the first. Raises UsageError where it isn't."""
    name, _, nic = guest.partition(":")
    netns = find_guest(name)
    with Kernel() as kernel:
        links = [link.name for link in dump_links(kernel.socket(netns)) if link.name != "lo"]
    if not links or (nic and nic not in links):
        what = f"{name} has no NIC {nic}." if nic else f"{name} has no NIC."
        raise UsageError(what, hint=f"It has {', '.join(links)}." if links else "`guestwire status` shows all NICs.")
    return netns, nic or links[0]


def pcap(guest: str, out: BinaryIO, *, count: int | None = None) -> Captured:
    """Write the frames of a guest's NIC ("web", "web:eth1") to `out` until `count`, the reader or a signal ends it."""
    netns, link = find_nic(guest)
    with Kernel() as kernel:
        with kernel.inside(netns):
            sock = watch(link)
        try:
            return capture(sock, out, count=count)
        finally:
            sock.close()
