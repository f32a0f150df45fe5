"""`guestwire exec`: run a command in a guest."""

from __future__ import annotations

from argparse import Namespace

from guestwire.cli.table import LAB, Argument, Verb

__all__ = ["VERB", "run"]

VERB = Verb(
    "exec",
    "run a command in a guest",
    (
        Argument("GUEST", "the guest's name, or PROJECT/GUEST where two projects have one of that name"),
        LAB,
    ),
    command=Argument("COMMAND", "the command and its words"),
    examples=(
        ("guestwire exec web -- ip address", "the addresses, as the guest `web` sees them"),
        ("guestwire exec three-ways/web -- ping -c 1 db", "of the project `three-ways`, where others have a `web` too"),
    ),
    exits=((0, "the exit code is the command's own"),),
)


def run(args: Namespace) -> int:
    """Run it; its exit code."""
    from guestwire import api

    return api.execute(args.guest, args.command)
