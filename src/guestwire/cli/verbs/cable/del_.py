"""`guestwire cable del`: pull out a cable."""

from __future__ import annotations

from argparse import Namespace

from guestwire.cli.table import Argument, Verb, project_name

__all__ = ["VERB", "run"]

VERB = Verb(
    "cable del",
    "pull out a cable",
    (
        Argument("PROJECT", "the project whose process holds it", type=project_name),
        Argument("NIC", "the tap that it is called by, as NETNS/LINK, or LINK in this namespace"),
    ),
    details="The links at its ends stay, without a carrier. `up` of the project plugs in again what its file asks for.",
    examples=(("guestwire cable del p red/tap0", "pull it out of tap0 in the namespace `red`"),),
)


def run(args: Namespace) -> int:
    """Pull it out, and say so."""
    from guestwire import api
    from guestwire.cli.terminal import emit

    api.remove_cable(args.project, args.nic, netns=args.netns)
    emit(args, {"deleted": args.nic}, f"The cable of {args.nic} is pulled out.")
    return 0
