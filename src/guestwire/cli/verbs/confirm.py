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
`up --confirm SECONDS` makes its change and waits. Unless this verb comes in time, all is taken back by a process that
is detached from the terminal and the login. Namespaces that the change is to end are ended only now, since that can't
be undone.

Where nothing waits it ends with 1, so that a script sees that it came too late.""",
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
