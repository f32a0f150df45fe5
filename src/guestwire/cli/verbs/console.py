"""`guestwire console`: a virtual machine's serial console, on this terminal."""

from __future__ import annotations

import sys
from argparse import Namespace

from guestwire.cli.table import LAB, Argument, Verb
from guestwire.errors import Interrupted

__all__ = ["VERB", "run"]

VERB = Verb(
    "console",
    "a virtual machine's console",
    (
        Argument("GUEST", "the guest's name, or PROJECT/GUEST where two projects have one of that name"),
        LAB,
    ),
    details=(
        "Ctrl-] leaves; every other key goes to the guest. Standard input may be a pipe: it is sent as it is, and "
        "after its end the guest's output is still printed, until the guest ends or you press Ctrl-C.\n\nOnly one at "
        "a time can be at a console. With --json the guest's output goes to standard error, and the document comes at "
        "the end: guest, and whether it still runs."
    ),
    examples=(
        ("guestwire console vm", "type to `vm`, and see what it says"),
        ("guestwire console vm | tee said", "keep what it says as well"),
    ),
)


def run(args: Namespace) -> int:
    """Stay on it until somebody leaves, or the machine ends."""
    from guestwire import api
    from guestwire.cli.terminal import emit, say
    from guestwire.linux.console import Ended

    machine = api.find_machine(args.guest)
    leaving = "Ctrl-] leaves it" if sys.stdin.isatty() else "Ctrl-C ends this"
    told = f"{machine.name}'s console. {leaving}."
    ended = api.attach(machine, lambda: say(args, told), silent=args.json)
    if ended is Ended.STOPPED:
        raise Interrupted("interrupted.")
    if ended is not Ended.UNREAD:
        say(args, f"\n{machine.name} {'has ended' if ended is Ended.GONE else 'runs on'}.")
    emit(args, {"guest": args.guest, "runs": ended is not Ended.GONE}, "")
    return 0
