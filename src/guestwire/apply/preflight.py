"""Asks the kernel, before the first step, whether it has the kinds of link that a plan makes."""

from __future__ import annotations

from guestwire.errors import Unavailable
from guestwire.kinds import Link
from guestwire.linux.kernel import Kernel
from guestwire.linux.libc import CLONE_NEWNET, setns, unshare
from guestwire.linux.netlink import Socket
from guestwire.plan import Plan

__all__ = ["preflight"]


def preflight(kernel: Kernel, plan: Plan) -> None:
    """Try each kind of link that the plan makes in a namespace of its own, which nobody sees and which ends at once.

    Raises Unavailable with all kinds that this kernel lacks.
    """
    wanted = {
        step.value.trial_name(): step.value
        for step in plan.steps
        if step.action == "create" and isinstance(step.value, Link)
    }
    if not wanted:
        return
    home = kernel.fd("")
    unshare(CLONE_NEWNET)
    try:
        sock = Socket()
    finally:
        setns(home, CLONE_NEWNET)
    try:
        missing = [problem for link in wanted.values() if (problem := link.lacks(sock)) is not None]
    finally:
        sock.close()
    if missing:
        raise Unavailable(*missing)
