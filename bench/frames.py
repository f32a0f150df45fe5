"""Measures TCP through cables beside TCP through veths, in one run, and says whether guestwire reaches its figures.

python bench/frames.py [--rounds 5] [--seconds 2] [--minutes 10] [--quick] [--json FILE]

It needs root and iperf3, and touches nothing of this machine: it has its own mount, network and process namespaces.
"""

import argparse
import json
import os
import platform
import shutil
import sys
from pathlib import Path
from statistics import median

from building.private import Failed, become_worker, measure
from building.verdict import Line
from carrying.work import ONE, REFERENCE, TWO, work

TARGETS = {ONE: 0.65, TWO: 0.45}  # of veth and kernel bridge
GROWTH = 1024  # KiB that the process may hold more at the end than after its first ten seconds


def throughput(rounds: int, seconds: float) -> dict[str, list[float]]:
    """Gbit/s of each way, a value a round."""
    found = measure({"rounds": rounds, "seconds": seconds}, 60 + 10 * (rounds + 1) * (seconds + 3))
    gbits: dict[str, list[float]] = found["gbits"]
    return gbits


def table(gbits: dict[str, list[float]]) -> list[str]:
    """Each way's median, least and most, and what part of the reference's, round by round, it is in the middle."""
    lines = [f"{'':<32}{'Gbit/s':>8}{'least':>8}{'most':>8}{'ratio':>8}"]
    for name, values in gbits.items():
        row = (median(values), min(values), max(values), ratio(gbits, name))
        lines.append(f"{name:<32}" + "".join(f"{value:>8.2f}" for value in row))
    return lines


def ratio(gbits: dict[str, list[float]], name: str) -> float:
    """The median of a way's ratios to the reference in the same round, so that what disturbs both counts little."""
    return median(mine / theirs for mine, theirs in zip(gbits[name], gbits[REFERENCE], strict=True))


def lasting(minutes: float) -> list[tuple[float, int, int]]:
    """Seconds, KiB and descriptors of the process that holds the cables, while frames cross for so long."""
    found = measure({"minutes": minutes}, 120 + 60 * minutes)
    return [(when, memory, files) for when, memory, files in found["samples"]]


def flat(samples: list[tuple[float, int, int]]) -> list[Line]:
    """What the process holds more at the end than in the beginning."""
    (began, memory, files), (ended, grown, more) = samples[0], samples[-1]
    print(
        f"\nIts process after {began:.0f} s and {ended:.0f} s: {memory:,} and {grown:,} KiB, {files} and {more} files"
    )
    return [Line("memory that it grew by", grown - memory, GROWTH, "KiB"), Line("files more", more - files, 0, "")]


def main() -> int:
    """Exit code: 0 all figures that ran were reached, 1 one was missed, 69 no iperf3, 77 no root."""
    words = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    words.add_argument("--rounds", type=int, default=5, help="rounds to take the median of")
    words.add_argument("--seconds", type=float, default=2, help="how long each stream lasts")
    words.add_argument("--minutes", type=float, default=0, help="then carry frames so long, and watch memory and files")
    words.add_argument("--quick", action="store_true", help="one short round: does it work?")
    words.add_argument("--json", type=Path, metavar="FILE", help="write everything that was measured")
    words.add_argument("--worker", help=argparse.SUPPRESS)
    given = words.parse_args()
    if given.worker:
        return become_worker(json.loads(given.worker), work)
    if os.geteuid():
        print("bench/frames.py needs root, to make namespaces of its own", file=sys.stderr)
        return 77
    if shutil.which("iperf3") is None:
        print("bench/frames.py needs iperf3 (Debian's package iperf3)", file=sys.stderr)
        return 69
    try:
        gbits = throughput(*((1, 0.5) if given.quick else (given.rounds, given.seconds)))
        samples = lasting(given.minutes) if given.minutes else []
    except Failed as error:
        print(f"bench/frames.py: {error}", file=sys.stderr)
        return 1
    print("One TCP stream between namespaces", *table(gbits), sep="\n")
    lines = [
        Line(f"{name}: part of {REFERENCE}", ratio(gbits, name), part, "×", True) for name, part in TARGETS.items()
    ]
    lines += flat(samples) if samples else []
    print("\nFigures to reach", *(line.show() for line in lines), sep="\n")
    if given.json:
        machine = {"kernel": platform.release(), "python": platform.python_version(), "processors": os.cpu_count()}
        given.json.write_text(json.dumps({**machine, "gbits": gbits, "samples": samples}, indent=1) + "\n")
    return 0 if all(line.verdict != "MISS" for line in lines) else 1


if __name__ == "__main__":
    sys.exit(main())
