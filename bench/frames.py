"""Measures TCP through cables beside TCP through veths, in one run, and says whether guestwire reaches its figures.

python bench/frames.py [--rounds 5] [--seconds 2] [--minutes 10] [--quick] [--json FILE]

It needs root and iperf3, and touches nothing of this machine: it has its own mount, network and process namespaces.
"""

import sys
from argparse import ArgumentParser, Namespace
from statistics import median

from building.command import Found, run
from building.private import measure
from building.verdict import Line
from carrying.work import ONE, REFERENCE, TWO, work

TARGETS = {ONE: 0.65, TWO: 0.45}  # of veth and kernel bridge
GROWTH = 1024  # KiB that the process may hold more at the end than after its first ten seconds


def throughput(rounds: int, seconds: int) -> dict[str, list[float]]:
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


def options(words: ArgumentParser) -> None:
    """This bench's own."""
    words.add_argument("--rounds", type=int, default=5, help="rounds to take the median of")
    words.add_argument("--seconds", type=int, default=2, help="how long each stream lasts")
    words.add_argument("--minutes", type=float, default=0, help="then carry frames so long, and watch memory and files")


def measured(given: Namespace) -> Found:
    """All that was asked for."""
    gbits = throughput(*((1, 1) if given.quick else (given.rounds, given.seconds)))
    samples = lasting(given.minutes) if given.minutes else []
    print("One TCP stream between namespaces", *table(gbits), sep="\n")
    lines = [
        Line(f"{name}: part of {REFERENCE}", ratio(gbits, name), part, "×", True) for name, part in TARGETS.items()
    ]
    lines += flat(samples) if samples else []
    return Found(lines, {"gbits": gbits, "samples": samples})


if __name__ == "__main__":
    sys.exit(run(__doc__, work, options, measured, {"iperf3": "iperf3"}))
