"""`guestwire status`: guests, NICs, networks, addresses, and where they differ from the file."""

from __future__ import annotations

from argparse import Namespace

from guestwire.cli.table import FILE, LAB, PROJECT, Verb

__all__ = ["VERB", "run"]

VERB = Verb(
    "status",
    "guests, NICs, networks, addresses, drift from the file",
    (FILE, LAB, PROJECT),
    examples=(("guestwire status --json", "the same, for a program"),),
)


def run(args: Namespace) -> int:
    """Print the status."""
    from guestwire import api
    from guestwire.cli.terminal import emit
    from guestwire.show.words import host, standing

    if args.file is None and args.project is None and not args.lab and not api.is_some_project():
        document = api.host(args.netns)
        emit(args, document, lambda: host(document))
        return 0
    with api.ahead(args.file, args.project, making=False) as foreseen:
        found = api.status(args.file, lab=args.lab, project=args.project, netns=args.netns, foreseen=foreseen)
    document = found.to_json()
    emit(args, document, lambda: standing(document))
    return 0
