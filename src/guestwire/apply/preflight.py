"""Looks, before the first step, whether this machine has what a plan needs: kinds of link, and programs."""

from __future__ import annotations

from guestwire.errors import Unavailable
from guestwire.kinds import Link
from guestwire.linux.kernel import Kernel
from guestwire.linux.libc import CLONE_NEWNET, setns, unshare
from guestwire.linux.netlink import Socket
from guestwire.plan import Plan

__all__ = ["preflight"]


def preflight(kernel: Kernel, plan: Plan) -> None:
    """Look for each program, and try each kind of link in a namespace of its own, which nobody sees and ends at once.

    Raises Unavailable with all that is missing.
    """
    lacking = [problem for step in plan.steps if step.action == "create" and (problem := step.value.lacking())]
    if lacking:
        raise Unavailable(*dict.fromkeys(lacking))
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
