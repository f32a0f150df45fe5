"""`guestwire draw`: what is plugged into what, as a picture."""

from __future__ import annotations

from argparse import Namespace

from guestwire.cli.table import FILE, LAB, Argument, Verb

__all__ = ["VERB", "run"]

VERB = Verb(
    "draw",
    "what is plugged into what, as a picture",
    (
        FILE,
        LAB,
        Argument("--format", "`text` or `svg`", value="FORMAT", choices=("text", "svg"), default="text"),
    ),
    details="""\
Without a file, and with no `guestwire.yaml` in this folder, it draws this host as it is, also where guestwire never
touched it.""",
    examples=(
        ("guestwire draw", "the chains of links, eth0 ── br0 ── tap0 ── guest NIC"),
        ("guestwire draw --format svg > picture.svg", "for a page or a report"),
    ),
)


def run(args: Namespace) -> int:
    """Print the drawing."""
    from guestwire import api

    raise NotImplementedError(api)
