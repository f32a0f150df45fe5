"""`guestwire draw`: what is plugged into what, as a picture."""

from __future__ import annotations

import os
import shutil
import sys
from argparse import Namespace

from guestwire.cli.table import FILE, LAB, PROJECT, Argument, Verb
from guestwire.places import DEFAULT_FILE

__all__ = ["VERB", "run"]

VERB = Verb(
    "draw",
    "what is plugged into what, as a picture",
    (
        FILE,
        LAB,
        PROJECT,
        Argument("--format", "`text` or `svg`", value="FORMAT", choices=("text", "svg"), default="text"),
    ),
    details="""\
Without a file, and with no `guestwire.yaml` in this folder, it draws this host as it is, even one that guestwire
never touched.""",
    examples=(
        ("guestwire draw", "the chains of links, eth0 ── br0 ── tap0 ── guest NIC"),
        ("guestwire draw --format svg > picture.svg", "for a page or a report"),
    ),
)


def run(args: Namespace) -> int:
    """Print the drawing."""
    from guestwire import api
    from guestwire.cli.terminal import colours, emit
    from guestwire.show.svg import svg
    from guestwire.show.text import text

    a_file = args.file is not None or args.project is not None or args.lab or os.path.exists(DEFAULT_FILE)
    if a_file:
        picture = api.picture(args.file, lab=args.lab, project=args.project, netns=args.netns)
    else:
        picture = api.everything(args.netns)
    if args.format == "svg":
        drawn = svg(picture)
    else:
        plain = (sys.stdout.encoding or "").lower().replace("-", "") not in ("utf8", "")
        width = max(60, shutil.get_terminal_size((100, 24)).columns)
        drawn = text(picture, width=width, colour=colours(sys.stdout), ascii=plain)
    emit(args, {"format": args.format, "drawing": drawn}, drawn)
    return 0
