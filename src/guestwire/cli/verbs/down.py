"""`guestwire down`: remove what `up` made, give back what it borrowed."""

from __future__ import annotations

from argparse import Namespace

from guestwire.cli.table import FILE, LAB, Argument, Verb, of_project
from guestwire.errors import Problem

__all__ = ["VERB", "run"]

VERB = Verb(
    "down",
    "remove what up made, give back what it borrowed",
    (
        FILE,
        LAB,
        of_project("the project to remove; then no file is needed"),
        Argument("--no-guard", "don't see to it that this host reaches whom it reaches now"),
    ),
    details="""\
Only what bears guestwire's mark is removed. What can't be removed doesn't stop it: it goes on, and reports all of that
at the end. As with `up`, everything is put back, with exit code 1, if this host then doesn't reach a gateway, a DNS
server or your ssh client any more.

If something of others is plugged into what is removed, such as a domain's tap or a container's veth into our bridge,
it is named first. Such links stay as they are, plugged into nothing.""",
    examples=(
        ("guestwire down", "remove the project of guestwire.yaml in this folder"),
        ("guestwire down --project demo", "remove the project `demo`, wherever its file is"),
    ),
)


def run(args: Namespace) -> int:
    """Remove it, and say what was done."""
    from guestwire import api
    from guestwire.cli.terminal import emit, say
    from guestwire.show.words import removed

    def warn(warning: Problem) -> None:
        say(args, f"warning: {warning}")

    made = api.down(args.file, project=args.project, netns=args.netns, guard=not args.no_guard, warn=warn)
    emit(args, made.to_json, lambda: removed(made.project, made.plan))
    return 0
