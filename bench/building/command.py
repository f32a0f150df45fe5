"""What all benches share on the command line: their options, what they need, how they end."""

import json
import os
import platform
import shutil
import sys
from argparse import SUPPRESS, ArgumentParser, Namespace
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from .private import Failed, Job, Result, become_worker
from .verdict import Line


class Found(NamedTuple):
    """What a bench has found: its figures, everything for --json, and whether all that was asked for was measured."""

    lines: list[Line]
    raw: dict[str, Any]
    whole: bool = True


def run(
    doc: str | None,
    work: Callable[[Job], Result],
    options: Callable[[ArgumentParser], None],
    bench: Callable[[Namespace], Found],
    needs: Mapping[str, str] | None = None,
) -> int:
    """Run `bench` with its options; in a worker, `work`. `needs` has programs, each with its package in Debian.

    Exit code: 0 all figures that ran were reached, 1 one was missed, 69 a program is missing, 77 no root.
    """
    name = f"bench/{Path(sys.argv[0]).name}"
    words = ArgumentParser(description=doc.splitlines()[0] if doc else None)
    options(words)
    words.add_argument("--quick", action="store_true", help="few guests, few rounds, short: does it work?")
    words.add_argument("--json", type=Path, metavar="FILE", help="write everything that was measured")
    words.add_argument("--worker", help=SUPPRESS)
    given = words.parse_args()
    if given.worker:
        return become_worker(json.loads(given.worker), work)
    if os.geteuid():
        print(f"{name} needs root, to make namespaces of its own", file=sys.stderr)
        return 77
    for program, package in (needs or {}).items():
        if shutil.which(program) is None:
            print(f"{name} needs {program} (Debian's package {package})", file=sys.stderr)
            return 69
    try:
        found = bench(given)
    except Failed as error:
        print(f"{name}: {error}", file=sys.stderr)
        return 1
    print("\nFigures to reach", *(line.show() for line in found.lines), sep="\n")
    if given.json:
        machine = {"kernel": platform.release(), "python": platform.python_version(), "processors": os.cpu_count()}
        given.json.write_text(json.dumps({**machine, **found.raw}, indent=1) + "\n")
    return 0 if found.whole and all(line.verdict != "MISS" for line in found.lines) else 1
