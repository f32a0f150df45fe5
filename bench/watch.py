"""Breaks what guestwire watch keeps, a hundred times each, and says how long it takes until all is as it was.

python bench/watch.py [--guests 1000] [--times 100] [--rounds 5] [--quick] [--only BREAK…] [--json FILE]

It needs root, and touches nothing of this machine: each measurement has its own mount, network and process namespaces.
"""

import sys
from argparse import ArgumentParser, Namespace
from pathlib import Path
from statistics import median, quantiles

from building.command import Found, run
from building.private import Failed, Job, Result, measure
from building.verdict import Line
from building.wire import NEWLINK, UP, link, message, open_rtnetlink, send
from watching import breaks, bridges

PORTS = {10: 20, 100: 20, 1000: 5}
"""How many ports a deleted bridge has, and in how many rounds that is measured."""
GROWTH = 8192  # KiB more after all breaks: every ten minutes all is read again, which takes 4.5 MiB once, then no more
FEW, MANY = 0.05, 1.5  # seconds up to 100 ports; with more, floors


def work(job: Job) -> Result:
    """In a worker: one of the measurements."""
    send(open_rtnetlink(), [message(NEWLINK, link(index=1, flags=UP))])
    Path("/proc/sys/net/ipv4/ip_forward").write_text("0")
    if job["what"] == "breaks":
        found, held = breaks.measured(int(job["guests"]), int(job["times"]), list(job["only"]))
        return {"breaks": found, "held": held}
    return {"bridge": bridges.measured(int(job["ports"]), int(job["rounds"]))}


def spread(name: str, seconds: list[float]) -> str:
    """A row: the median, the 95th of a hundred, and the most, in milliseconds."""
    high = quantiles(seconds, n=20, method="inclusive")[-1] if len(seconds) > 1 else seconds[0]
    cells = "".join(f"{value * 1000:>10.1f}" for value in (median(seconds), high, max(seconds)))
    return f"{name:<46}{cells}{len(seconds):>8}"


class Bench:
    """What was measured."""

    def __init__(self) -> None:
        self.breaks: dict[str, list[float]] = {}
        self.bridges: dict[int, dict[str, list[float]]] = {}
        self.held: list[tuple[int, int]] = []
        self.skipped: dict[str, str] = {}

    def run(self, guests: int, times: int, rounds: dict[int, int], only: list[str]) -> None:
        """All of it, or what is asked for."""
        if not only or any(name in breaks.BREAKS for name in only):
            job = {"what": "breaks", "guests": guests, "times": times, "only": only}
            found = self._try("breaks", job, 120 + 13 * times * 3)
            self.breaks, self.held = found.get("breaks", {}), found.get("held", [])
        for ports, turns in rounds.items():
            if not only or f"bridge-{ports}" in only:
                job = {"what": "bridge", "ports": ports, "rounds": turns}
                both = self._try(f"bridge-{ports}", job, 120 + turns * 40).get("bridge")
                if both:
                    self.bridges[ports] = both

    def _try(self, name: str, job: Job, seconds: float) -> Result:
        try:
            return measure(job, seconds)
        except Failed as error:
            self.skipped[name] = str(error)
            return {}

    def lines(self) -> list[Line]:
        """The issue's figures."""
        found = [
            Line(f"{name}: median", 1000 * median(self.breaks[name]) if self.breaks.get(name) else None, most, "ms")
            for name, (_, _, most) in breaks.BREAKS.items()
        ]
        for ports in PORTS:
            both = self.bridges.get(ports)
            watch, floor = (median(both[who]) if both else None for who in ("watch", "floor"))
            if ports <= 100:
                measured = watch * 1000 if watch is not None else None
                found.append(Line(f"a bridge with {ports} ports is deleted", measured, FEW * 1000, "ms"))
            else:
                ratio = watch / floor if watch is not None and floor else None
                found.append(Line(f"a bridge with {ports:,} ports is deleted, of the floor", ratio, MANY, "×"))
        grown = [last - first for first, last in zip(self.held[0], self.held[-1], strict=True)] if self.held else None
        found.append(Line("memory that it grew by", grown[0] if grown else None, GROWTH, "KiB"))
        found.append(Line("files that it held more", grown[1] if grown else None, 0, ""))
        return found

    def report(self) -> Found:
        """Print the tables; the figures, and everything that was measured."""
        head = f"{'':<46}{'median':>10}{'95 of 100':>10}{'most':>10}{'times':>8}"
        print("Milliseconds from the event until it is repaired", head, sep="\n")
        for name, seconds in self.breaks.items():
            print(spread(name, seconds))
        for ports, both in self.bridges.items():
            print(spread(f"a bridge with {ports:,} ports is deleted", both["watch"]))
            print(spread("    the floor: raw netlink alone", both["floor"]))
        for name, why in self.skipped.items():
            print(f"skipped: {name}: {why}")
        raw = {"breaks": self.breaks, "bridges": self.bridges, "held": self.held, "skipped": self.skipped}
        return Found(self.lines(), raw, whole=not self.skipped)


def options(words: ArgumentParser) -> None:
    """This bench's own."""
    words.add_argument("--guests", type=int, default=1000, help="how many guests are there meanwhile")
    words.add_argument("--times", type=int, default=100, help="how often each is broken")
    words.add_argument("--rounds", type=int, help="how often each bridge is deleted (20; 5 with 1,000 ports)")
    words.add_argument("--only", nargs="+", default=[], metavar="BREAK", help="a row of the table, bridge-10, …")


def measured(given: Namespace) -> Found:
    """All that was asked for."""
    bench = Bench()
    rounds = {ports: given.rounds or turns for ports, turns in PORTS.items()}
    if given.quick:
        given.guests, given.times, rounds = 100, 10, {10: 3, 100: 3}
    bench.run(given.guests, given.times, rounds, given.only)
    return bench.report()


if __name__ == "__main__":
    sys.exit(run(__doc__, work, options, measured))
