"""`guestwire cable list`: every cable that guestwire holds, and what it has carried."""

from __future__ import annotations

from argparse import Namespace

from guestwire.cli.table import Argument, Verb, project_name

__all__ = ["VERB", "run"]

VERB = Verb(
    "cable list",
    "the cables that guestwire holds, and what they have carried",
    (Argument("PROJECT", "only this project's", optional=True, type=project_name),),
    details="""\
Frames are counted as they cross, a segment of 64 KiB of TCP as one. Dropped is what the far end refused: it was down
or gone.""",
    examples=(("guestwire cable list --json | jq '.cables[].sent'", "what each guest has sent, for a program"),),
)


def run(args: Namespace) -> int:
    """Print them."""
    from guestwire import api
    from guestwire.cli.terminal import emit
    from guestwire.show.words import cabled

    found = [{**cable.to_json(), **cable.counters()} for cable in api.cables(args.project)]
    emit(args, {"cables": found}, lambda: cabled(found))
    return 0
