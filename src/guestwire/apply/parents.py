"""NICs that macvlans hang on: waits until those that went with their namespaces have left, and their MACs are free."""

from __future__ import annotations

import errno
import select
import time
from collections.abc import Callable, Iterable

from guestwire.kinds import Thing
from guestwire.kinds.macvlan import Macvlan
from guestwire.linux import namespaces
from guestwire.linux.kernel import Kernel
from guestwire.linux.neighbours import dump_neighbours
from guestwire.linux.rtnetlink import AF_BRIDGE
from guestwire.plan import Plan

__all__ = ["wait_for_end", "wait_for_macs"]

END = 15  # seconds that the kernel gets to end namespaces whose links hang on a NIC that stays
PATIENCE = 3  # seconds that a MAC which is wanted on such a NIC gets to become free


def wait_for_end(kernel: Kernel, gone: Iterable[Thing | None]) -> None:
    """Wait until macvlans whose namespaces were ended have left their parents.

    The kernel ends namespaces in its own time, and until then their MACs are taken. It says nothing when it is through,
    so the parents' filters are read until then.
    """
    waited: dict[tuple[str, str], set[str]] = {}
    for value in gone:
        if not isinstance(value, Macvlan) or not value.mac or not value.parent or value.holds_parent():
            continue  # one in passthru has its parent's own MAC, which stays
        if _there(value.netns):
            continue
        if _there(value.parent[0]):
            waited.setdefault(value.parent, set()).add(value.mac)
    _emptied(lambda: sum(len(macs & _left(kernel, parent)) for parent, macs in waited.items()), END)


def _there(netns: str) -> bool:
    return not netns or namespaces.exists(netns)


def wait_for_macs(kernel: Kernel, plan: Plan) -> None:
    """Wait until macvlans that somebody has just ended with their namespaces let go of their MACs; raises OSError."""
    going = {step.value.mac for step in plan.steps if step.action == "delete" and isinstance(step.value, Macvlan)}
    going |= {value.mac for value in plan.implied if isinstance(value, Macvlan)}
    wanted: dict[tuple[str, str], set[str]] = {}
    for step in plan.steps:
        value = step.value
        if step.action != "create" or not isinstance(value, Macvlan) or value.holds_parent():
            continue
        if value.parent and value.mac not in {None, *going}:
            wanted.setdefault(value.parent, set()).add(str(value.mac))

    if not _emptied(lambda: sum(len(macs & _left(kernel, parent)) for parent, macs in wanted.items()), PATIENCE):
        macs = " ".join(sorted(mac for parent, macs in wanted.items() for mac in macs & _left(kernel, parent)))
        raise OSError(
            errno.EADDRINUSE,
            f"the MAC {macs} is in use beside it already, by a macvlan or macvtap perhaps in another namespace",
        )


def _left(kernel: Kernel, parent: tuple[str, str]) -> set[str]:
    netns, name = parent
    try:
        index = kernel.index(netns, name)
    except OSError:
        return set()
    return {entry.mac for entry in dump_neighbours(kernel.socket(netns), AF_BRIDGE) if entry.ifindex == index}


def _emptied(left: Callable[[], int], seconds: float) -> bool:
    """Ask how many are left until none is, False where some are after so many seconds.

    The more there are the longer it waits, for each asking keeps the kernel from ending them.
    """
    deadline = time.monotonic() + seconds
    while number := left():
        if time.monotonic() > deadline:
            return False
        select.select([], [], [], max(0.002, number * 0.0001))
    return True
