"""`guestwire plan`: show what `up` would do, and do nothing."""

from __future__ import annotations

from argparse import Namespace

from guestwire.cli.table import FILE, LAB, PROJECT, Argument, Verb

__all__ = ["VERB", "run"]

VERB = Verb(
    "plan",
    "what up would do",
    (
        FILE,
        LAB,
        PROJECT,
        Argument("--commands", "print it as the commands that do the same, for a shell"),
        Argument("--exit-code", "end with 2 where there is something to do"),
    ),
    examples=(
        ("guestwire plan --lab --commands", "the ip, bridge and nft commands that build guestwire.yaml in a lab"),
        ("guestwire plan --exit-code", "for a script: is this host as the file says?"),
    ),
    exits=((0, "planned; with --exit-code: nothing to do"), (2, "with --exit-code: something to do")),
)


def run(args: Namespace) -> int:
    """Print the plan."""
    from guestwire import api
    from guestwire.cli.terminal import emit, say
    from guestwire.show.words import planned

    made = api.plan(args.file, lab=args.lab, project=args.project, netns=args.netns)
    for warning in made.warnings:
        say(args, f"warning: {warning}")
    emit(
        args,
        made.to_json,
        lambda: "".join(f"{line}\n" for line in made.plan.commands()) if args.commands else planned(made.plan),
    )
    return 2 if args.exit_code and made.plan else 0
