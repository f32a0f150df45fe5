"""Looks, before the first step, whether this machine has what a plan needs: kinds of link, rights, programs."""

from __future__ import annotations

from guestwire.errors import Unavailable
from guestwire.kinds import Thing
from guestwire.linux.kernel import Kernel
from guestwire.linux.libc import CLONE_NEWNET, setns, unshare
from guestwire.linux.netlink import Socket
from guestwire.plan import Plan

__all__ = ["preflight"]


def preflight(kernel: Kernel, plan: Plan) -> None:
    """Try each kind of thing that the plan makes, in a namespace of its own, which nobody sees and which ends at once.

    So, too, where a thing is to become what only some kernels make of it.

    Raises Unavailable with all that this machine, or these rights, lack.
    """
    wanted = {
        step.value.trial_name(): step.value
        for step in plan.steps
        if step.makes and type(step.value).lacks is not Thing.lacks
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
        missing = [problem for value in wanted.values() if (problem := value.lacks(sock)) is not None]
    finally:
        sock.close()
    if missing:
        raise Unavailable(*missing)
