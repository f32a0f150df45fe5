"""`guestwire rollback`: settle an `up` that never ended, by undoing what it had done."""

from __future__ import annotations

from argparse import Namespace

from guestwire.cli.table import Verb, of_project

__all__ = ["VERB", "run"]

VERB = Verb(
    "rollback",
    "undo an up that was killed or is waiting to be confirmed",
    (of_project("only this project's; by default all that lie on this host"),),
    details="""\
An `up` keeps a journal of what it has done. After a crash or `kill -9` the journal is still there, and the other
verbs say so (exit code 75) until this one has settled it. With nothing to settle, it says so and ends with 0.""",
    examples=(("guestwire rollback", "settle all that lies on this host"),),
)


def run(args: Namespace) -> int:
    """Settle it, and say how."""
    from guestwire import api
    from guestwire.cli.terminal import emit

    settled = api.rollback(args.project, netns=args.netns)
    emit(args, {"settled": settled}, "\n".join(settled) or "Nothing to settle.")
    return 0
