"""`guestwire tap list`: every tap, tun and macvtap of this host, who holds it, and why it has no carrier."""

from __future__ import annotations

from argparse import Namespace

from guestwire.cli.table import Verb

__all__ = ["VERB", "run"]

VERB = Verb(
    "tap list",
    "the taps, tuns and macvtaps, who holds them, and why one has no carrier",
    details="""\
All of them, whoever made them. Only root sees other users' programs. Those in another PID namespace, such as a
container's, can't be seen.""",
    examples=(("guestwire tap list --json | jq '.taps[] | select(.carrier | not) | .why'", "why, for a program"),),
)


def run(args: Namespace) -> int:
    """Print them."""
    from guestwire import api
    from guestwire.cli.terminal import emit
    from guestwire.show.taps import taps

    found = api.list_taps(args.netns)
    emit(args, {"taps": found}, lambda: taps(found))
    return 0
