"""`guestwire tap del`: delete a tap that `guestwire tap add` made."""

from __future__ import annotations

from argparse import Namespace

from guestwire.cli.table import Argument, Verb

__all__ = ["VERB", "run"]

VERB = Verb(
    "tap del",
    "delete a tap that `tap add` made",
    (Argument("NAME", "the link's name"),),
    details="""\
Only what `guestwire tap add` made is deleted, as its alias tells; of others it says whose they are. Where a program
holds it, it asks first, since that loses its NIC.""",
    examples=(("guestwire tap del tap0 --yes", "also where a program holds it"),),
)


def run(args: Namespace) -> int:
    """Delete it, and say so."""
    from guestwire import api
    from guestwire.cli.terminal import ask, emit

    holders = api.find_tap(args.name, args.netns)["holders"]
    if holders:
        who = ", ".join(f"{each['command']} (pid {each['pid']})" for each in holders)
        ask(args, f"{args.name} is held by {who}, which loses it. Delete it all the same?")
    api.delete_tap(args.name, args.netns)
    emit(args, {"deleted": args.name}, f"{args.name} is deleted.")
    return 0
