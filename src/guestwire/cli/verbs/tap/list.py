"""`guestwire tap list`: every tap, tun and macvtap of this host, who holds it, and why it has no carrier."""

from __future__ import annotations

from argparse import Namespace

from guestwire.cli.table import Verb

__all__ = ["VERB", "run"]

VERB = Verb(
    "tap list",
    "the taps, tuns and macvtaps, who holds them, and why one has no carrier",
    details="""\
Whoever made them. Other users' programs are seen by root alone, and those in another PID namespace, as a container
without the host's, not at all.""",
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
