"""`guestwire try`: rehearse `up` on a copy of this host, report, and leave nothing."""

from __future__ import annotations

import sys
from argparse import Namespace

from guestwire.cli.table import FILE, PROJECT, Verb

__all__ = ["VERB", "run"]

VERB = Verb(
    "try",
    "rehearse up on a copy of this host, and leave nothing",
    (FILE, PROJECT),
    details="""\
The host's links, addresses, routes, sysctls and nftables are copied into namespaces that nobody else sees. Its NICs
lead to a make-believe LAN there, with the gateways and neighbours that the host knows now. `up` and `check` run in it,
on this kernel; then all of it goes. This host is only read. What couldn't be copied is listed.""",
    examples=(("guestwire try shop.yaml", "what `up shop.yaml` would do to this host, and who would reach whom then"),),
    exits=(
        (0, "`up` would do, and all expectations hold"),
        (1, "an expectation doesn't"),
        (69, "one can't be measured"),
    ),
)


def run(args: Namespace) -> int:
    """Rehearse, and print what came of it."""
    from guestwire import api
    from guestwire.cli.terminal import colours, emit, probed, say, tell
    from guestwire.show.rehearsed import rehearsed

    found = api.rehearse(args.file, project=args.project, netns=args.netns, progress=probed(args))
    for warning in found.outcome.warnings if found.outcome else ():
        say(args, f"warning: {warning}")
    guarded = found.outcome.to_json().get("guard", ()) if found.outcome else ()
    document = found.to_json() if args.json else {}
    emit(
        args, document, lambda: rehearsed(found.plan, found.report, guarded, found.missing, colour=colours(sys.stdout))
    )
    if found.error is not None:
        tell("".join(f"guestwire: in the copy: {problem}\n" for problem in found.error.problems))
    return found.code
