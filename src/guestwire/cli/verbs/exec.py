"""`guestwire exec`: run a command in a guest."""

from __future__ import annotations

from argparse import Namespace

from guestwire.cli.table import LAB, Argument, Verb, number

__all__ = ["VERB", "run"]


VERB = Verb(
    "exec",
    "run a command in a guest",
    (
        Argument("GUEST", "the guest's name, or PROJECT/GUEST where two projects have one of that name"),
        LAB,
        Argument(
            "--wait",
            "how long a virtual machine's agent gets to answer; 5 by default",
            value="SECONDS",
            type=number("seconds", 0),
        ),
    ),
    details=(
        "In a virtual machine the command is run by its QEMU guest agent, without a shell and without a terminal. Its "
        "standard input is sent as a whole, and its output is printed when it ends.\n\nWith --json what the command "
        "writes to standard output goes to standard error, and the document comes at the end: guest, command, code."
    ),
    command=Argument("COMMAND", "the command and its words"),
    examples=(
        ("guestwire exec web -- ip address", "the addresses, as the guest `web` sees them"),
        ("guestwire exec three-ways/web -- ping -c 1 db", "of the project `three-ways`, where others have a `web` too"),
    ),
    exits=((0, "the exit code is the command's own"), (69, "no guest agent answers in the virtual machine")),
)


def run(args: Namespace) -> int:
    """Run it; its exit code."""
    from guestwire import api
    from guestwire.cli.terminal import emit

    patience = {} if args.wait is None else {"patience": args.wait}
    code = api.execute(args.guest, args.command, silent=args.json, **patience)
    emit(args, {"guest": args.guest, "command": args.command, "code": code}, "")
    return code
