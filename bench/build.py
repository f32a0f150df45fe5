"""Builds 1,000 guests in every way there is, side by side, and says whether guestwire reaches its figures.

python bench/build.py [--guests 1000] [--rounds 3] [--quick] [--only WAY…] [--json FILE] [--install]

It needs root, and touches nothing of this machine: each measurement has its own mount, network and process namespaces.
"""

import subprocess
import sys
import tempfile
import time
from argparse import ArgumentParser, Namespace
from pathlib import Path

from building import command, guestwire_way, verdict
from building.private import Failed, Job, Result, measure
from building.ways import GUESTWIRE, NAMES, THROUGHPUT, WAYS, compile_floor, install
from building.work import work

SECONDS_PER_MEASUREMENT = 240.0


class Bench:
    """One run: what to measure, and what has been found."""

    def __init__(self, count: int, rounds: int, only: list[str], quick: bool, kinds: list[str]) -> None:
        self.count, self.rounds, self.quick = count, rounds, quick
        self.only = only or NAMES
        self.series: verdict.Series = {kind: {} for kind in verdict.LABELS if kind in (kinds or verdict.LABELS)}
        self.skipped: dict[str, str] = {}
        self.help: list[float] = []
        self.gbits: dict[str, list[float]] = {}

    def run(self) -> None:
        """All that was asked for, the ways of one round after another so that noise hits all alike."""
        for name in self.only:
            why = WAYS[name].absent() if name in WAYS else None
            if why:
                self._skip(name, why)
        for turn in range(self.rounds):
            for kind in self.series:
                names = [name for name in self.only if self._takes_part(name, kind, turn)]
                for name in names[turn % len(names) :] + names[: turn % len(names)] if names else []:
                    self._measure(name, kind, turn)
        if GUESTWIRE in self.only and GUESTWIRE not in self.skipped:
            self._first_lines_of_help()
        if THROUGHPUT in self.only and GUESTWIRE not in self.skipped:
            self._throughput()

    def _takes_part(self, name: str, kind: str, turn: int) -> bool:
        if f"{name} {kind}" in self.skipped or name in self.skipped or name == THROUGHPUT:
            return False
        return name == GUESTWIRE or (kind in WAYS[name].kinds and not (WAYS[name].once and turn))

    def _measure(self, name: str, kind: str, turn: int) -> None:
        job = {"way": name, "kind": kind, "count": self.count}
        result = self._try(f"{name} {kind}", job, f"{kind}, round {turn + 1}: {name}")
        for what, value in (result or {}).items():
            self.series[kind].setdefault(name, {}).setdefault(what, []).append(value)

    def _try(self, key: str, job: Job, telling: str) -> Result | None:
        began = time.perf_counter()
        try:
            result = measure(job, SECONDS_PER_MEASUREMENT)
        except Failed as error:
            self._skip(key, str(error))
            return None
        print(f"{telling}: {time.perf_counter() - began:.1f} s", file=sys.stderr, flush=True)
        return result

    def _skip(self, key: str, why: str) -> None:
        self.skipped[key] = why
        print(f"skipped: {key}: {why}", file=sys.stderr, flush=True)

    def _first_lines_of_help(self) -> None:
        try:
            self.help = [guestwire_way.first_line_of_help() for _ in range(3 if self.quick else 10)]
        except Failed as error:
            self._skip("help", str(error))

    def _throughput(self) -> None:
        job = {"way": THROUGHPUT, "rounds": 3 if self.quick else 15, "seconds": 0.3 if self.quick else 1}
        result = self._try(THROUGHPUT, job, THROUGHPUT)
        self.gbits = result["gbits"] if result else {}

    def report(self) -> command.Found:
        """Print the tables; the figures, and everything that was measured."""
        for kind, times in self.series.items():
            if times:
                print(f"\n{self.count} guests, {verdict.LABELS[kind]} (medians)")
                print(*verdict.table(self.series, kind, self.only), sep="\n")
        for key, why in self.skipped.items():
            print(f"skipped: {key}: {why}")
        if self.count != 1000:
            print(f"\nThe figures are meant for 1,000 guests; these are {self.count}.")
        lines = verdict.lines(self.series, self.help, self.gbits)
        raw = {
            "guests": self.count,
            "builds": self.series,
            "help": self.help,
            "gbits": self.gbits,
            "skipped": self.skipped,
            "figures": [
                {"what": line.what, "measured": line.measured, "target": line.target, "verdict": line.verdict}
                for line in lines
            ],
        }
        return command.Found(lines, raw)


def options(words: ArgumentParser) -> None:
    """This bench's own."""
    words.add_argument("--guests", type=int, help="how many guests (1000; 100 with --quick)")
    words.add_argument("--rounds", type=int, help="rounds to take the median of (3; 1 with --quick)")
    words.add_argument("--only", nargs="+", choices=NAMES, default=[], metavar="WAY", help=", ".join(NAMES))
    words.add_argument("--kinds", nargs="+", choices=verdict.LABELS, default=[], metavar="KIND", help="of guests: all")
    words.add_argument("--install", action="store_true", help="first install the peers (pip, apt-get)")


def measured(given: Namespace) -> command.Found:
    """All that was asked for."""
    for line in install() if given.install else ():
        print(f"+ {line}", file=sys.stderr, flush=True)
        subprocess.run(line.split(), check=False, stdout=sys.stderr)  # what couldn't be installed is skipped below
    count = given.guests or (100 if given.quick else 1000)
    bench = Bench(count, given.rounds or (1 if given.quick else 3), given.only, given.quick, given.kinds)
    guestwire_way.compile_source()
    with tempfile.TemporaryDirectory() as folder:
        why = compile_floor(Path(folder))
        if why:
            bench.skipped["floor-c"] = why
        bench.run()
    return bench.report()


if __name__ == "__main__":
    sys.exit(command.run(__doc__, work, options, measured))
