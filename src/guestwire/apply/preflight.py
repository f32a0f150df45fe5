"""Asks, before the first step, whether the kernel has the kinds of link that a plan makes, and who else is needed."""

from __future__ import annotations

import errno
import shutil

from guestwire.errors import Problem, Unavailable
from guestwire.kinds import Link
from guestwire.linux.kernel import Kernel
from guestwire.linux.libc import CLONE_NEWNET, setns, unshare
from guestwire.linux.netlink import Socket
from guestwire.plan import Plan

__all__ = ["preflight"]


def preflight(kernel: Kernel, plan: Plan) -> None:
    """Try each kind of link that the plan makes in a namespace of its own, which nobody sees and which ends at once.

    Raises Unavailable with all kinds that this kernel lacks, and with the programs that aren't installed.
    """
    _find_programs(plan)
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


def _find_programs(plan: Plan) -> None:
    needing = {step.value.program(): step.value for step in plan.steps if step.action != "delete"}
    problems = [
        Problem(
            f"`{wanted[0]}` is missing, and {value.KIND} {value.name} needs it.", f"Install the package {wanted[1]}."
        )
        for wanted, value in needing.items()
        if wanted is not None and not shutil.which(wanted[0])
    ]
    if problems:
        raise Unavailable(*problems)


def _lacks(sock: Socket, link: Link) -> bool:
    return any(error.errno == errno.EOPNOTSUPP for error in sock.transact(link.trial()))
