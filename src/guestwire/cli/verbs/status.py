"""`guestwire status`: guests, NICs, networks, addresses, and where they differ from the file."""

from __future__ import annotations

from argparse import Namespace

from guestwire.cli.table import FILE, LAB, Verb

__all__ = ["VERB", "run"]

VERB = Verb(
    "status",
    "guests, NICs, networks, addresses, drift from the file",
    (FILE, LAB),
    examples=(("guestwire status --json", "the same, for a program"),),
)


def run(args: Namespace) -> int:
    """Print how things stand."""
    from guestwire import api

    raise NotImplementedError(api)
