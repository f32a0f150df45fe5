"""`guestwire logs`: what a virtual machine has said on its console."""

from __future__ import annotations

from argparse import Namespace

from guestwire.cli.table import LAB, Argument, Verb, number
from guestwire.errors import UsageError

__all__ = ["VERB", "run"]


VERB = Verb(
    "logs",
    "what a virtual machine has said on its console",
    (
        Argument("GUEST", "the guest's name, or PROJECT/GUEST where two projects have one of that name"),
        LAB,
        Argument("--lines", "only the last so many", value="N", type=number("lines", 0)),
        Argument("--follow", "go on with what comes, until the guest ends"),
        Argument("--qemu", "what its QEMU has said instead: why it ended, say"),
    ),
    details="Control sequences, which clear, colour or move the cursor, are left out.",
    examples=(
        ("guestwire logs vm --lines 20", "how it booted"),
        ("guestwire logs vm --follow --lines 0 | grep -m 1 login:", "wait until it asks for a login"),
    ),
)


def run(args: Namespace) -> int:
    """Print the lines."""
    from guestwire import api
    from guestwire.cli.terminal import emit, put

    if args.json and args.follow:
        raise UsageError("what is followed has no end, and a JSON document has one.", hint="Leave one of them out.")
    machine = api.find_machine(args.guest)
    lines = api.log(machine, qemu=args.qemu, last=args.lines, follow=args.follow)
    if args.json:
        emit(args, {"guest": machine.name, "lines": list(lines)}, "")
    else:
        for line in lines:
            put(f"{line}\n")
    return 0
