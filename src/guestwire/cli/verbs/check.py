"""`guestwire check`: measure who reaches whom, and whether the file's expectations hold."""

from __future__ import annotations

import sys
from argparse import Namespace

from guestwire.cli.table import FILE, LAB, PROJECT, Verb

__all__ = ["VERB", "run"]

VERB = Verb(
    "check",
    "measure with real packets who reaches whom",
    (FILE, LAB, PROJECT),
    details="""\
Every pair of guests, host, lan, gateway and internet is tried over IPv4 and IPv6, from inside. Reaching is a round
trip: an answer from that address.""",
    examples=(("guestwire check --json | jq .held", "whether all expectations of the file hold"),),
    exits=((0, "all expectations hold"), (1, "one doesn't"), (69, "one can't be measured from here")),
)


def run(args: Namespace) -> int:
    """Measure, and print the matrix."""
    from guestwire import api
    from guestwire.cli.terminal import colours, emit, probed
    from guestwire.show.matrix import matrix

    report = api.check(args.file, lab=args.lab, project=args.project, netns=args.netns, progress=probed(args))
    emit(args, report.to_json, lambda: matrix(report, colour=colours(sys.stdout)))
    return report.code
