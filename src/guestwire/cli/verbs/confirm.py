"""`guestwire confirm`: keep a change that waits to be confirmed."""

from __future__ import annotations

from argparse import Namespace

from guestwire.cli.table import Verb, of_project

__all__ = ["VERB", "run"]

VERB = Verb(
    "confirm",
    "keep the change of an up --confirm that is waiting",
    (of_project("only this project's; by default all that wait on this host"),),
    details="""\
`up --confirm SECONDS` makes its change and waits. If this verb isn't run in time, a process that is detached from the
terminal and the login takes everything back. Namespaces that the change is to remove are removed only now, since that
can't be undone.

If no change waits, the exit code is 1: so a script sees that it came too late.""",
    examples=(("guestwire confirm", "from a new login, after `up --confirm 60`: I can still get in, keep it"),),
    exits=((0, "confirmed"), (1, "nothing is waiting: it may have been taken back already")),
)


def run(args: Namespace) -> int:
    """Keep it, and say so."""
    from guestwire import api
    from guestwire.cli.terminal import emit

    confirmed = api.confirm(args.project, netns=args.netns)
    emit(args, {"settled": confirmed}, "\n".join(confirmed))
    return 0
