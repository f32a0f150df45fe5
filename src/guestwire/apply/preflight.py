"""Looks, before the first step, whether this machine has what a plan needs: kinds of link, and programs."""

from __future__ import annotations

import errno

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
        missing = [name for name, link in wanted.items() if _lacks(sock, link)]
    finally:
        sock.close()
    if missing:
        raise Unavailable(
            *(f"this kernel has no {name} (Unknown device type)." for name in missing),
            hint=f"Load its module (modprobe {missing[0]}), or use a kernel that has it.",
        )


def _lacks(sock: Socket, link: Link) -> bool:
    return any(error.errno == errno.EOPNOTSUPP for error in sock.transact(link.trial()))
