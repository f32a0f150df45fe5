"""`guestwire up`: build, or change to, what the file says."""

from __future__ import annotations

from argparse import Namespace

from guestwire.cli.table import FILE, Argument, Verb

__all__ = ["VERB", "run"]

VERB = Verb(
    "up",
    "build or change to what the file says",
    (
        FILE,
        Argument("--lab", "in a lab: private namespaces with a make-believe outside, which can't hurt this machine"),
        Argument("--project", "the project's name, in place of the file's", value="NAME"),
    ),
    details="""\
It makes one transaction of all that differs from the file. Where a step is refused, or on Ctrl-C, all the steps before
it are undone. Guests that the change doesn't concern lose no packet; with nothing to change, nothing is written.""",
    examples=(
        ("guestwire up --lab", "build guestwire.yaml of this folder in a lab"),
        (
            "guestwire up examples/three-ways.yaml --lab --project demo",
            "the same file again beside it, as another project",
        ),
    ),
)


def run(args: Namespace) -> int:
    """Build it, and say what was done."""
    from guestwire import api
    from guestwire.cli.terminal import emit, say
    from guestwire.show.words import done

    made = api.up(args.file, lab=args.lab, project=args.project, netns=args.netns)
    for warning in made.warnings:
        say(args, f"warning: {warning}")
    emit(args, made.to_json, lambda: done(made.project, made.plan, lab=args.lab))
    return 0
