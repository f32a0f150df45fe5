"""Times virtual machines: eight until all of them answer, and guestwire's own part of a machine's start.

python bench/guests.py [--guests 8] [--rounds 3] [--quick] [--json FILE]

It needs root and QEMU, and touches nothing of this machine: it has its own mount, network and process namespaces.
"""

import os
import subprocess
import sys
from argparse import ArgumentParser, Namespace
from pathlib import Path
from statistics import median

from booting.work import work
from building import guestwire_way
from building.command import Found, run
from building.private import Failed, measure
from building.verdict import Line

ROOT = Path(__file__).resolve().parents[1]
ANSWER, OWN = 20.0, 50.0
"""The most seconds until eight guests answer, under QEMU's own emulation; and milliseconds of ours for each."""
ROWS = {
    "up": "of the time of `up`",
    "hand": "QEMU started by hand: of the time of that",
    "own": "guestwire's own: processors' time",
}


def boots() -> dict[str, str]:
    """What the tests' guests boot, made before anything is timed."""
    words = [sys.executable, "-m", "tests.machine.guest"]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise Failed((done.stderr.strip().splitlines() or ["no kernel and no initramfs"])[-1])
    kernel, initramfs, *_ = (str(ROOT / ".cache/machine" / line) for line in done.stdout.splitlines())
    return {"kernel": kernel, "initramfs": initramfs}


def spread(name: str, values: list[float], unit: str) -> str:
    """A row: the median, the least and the most."""
    cells = "".join(f"{value:>10.3g}" for value in (median(values), min(values), max(values)))
    return f"{name:<46}{cells} {unit}"


def options(words: ArgumentParser) -> None:
    """This bench's own."""
    words.add_argument("--guests", type=int, default=8, help="how many at once")
    words.add_argument("--rounds", type=int, default=3, help="rounds to take the median of")


def measured(given: Namespace) -> Found:
    """All that was asked for."""
    count, rounds = (2, 1) if given.quick else (given.guests, given.rounds)
    guestwire_way.compile_source()
    load = os.getloadavg()[0]
    job = {"count": count, "rounds": rounds}
    added = {
        name: [1000 * value for value in values]
        for name, values in measure({**job, "what": "start"}, 300 * rounds).items()
    }
    answered = measure({**job, "what": "boot", **boots()}, 60 + 180 * rounds)["answered"]
    beyond = [ours - theirs for ours, theirs in zip(added["up"], added["hand"], strict=True)]
    print(f"{count} guests, load {load:.1f}", f"{'':<46}{'median':>10}{'least':>10}{'most':>10}", sep="\n")
    print(spread("until all answer", answered, "s"))
    print("A machine more takes")
    for name, text in ROWS.items():
        print(spread(f"    {text}", added[name], "ms"))
    lines = [
        Line(f"{count} guests until all answer", median(answered), ANSWER, "s"),
        Line("a machine more: processors' time of guestwire's own", median(added["own"]), OWN, "ms"),
        Line("a machine more: what up takes beyond QEMU by hand", median(beyond), OWN, "ms"),
    ]
    return Found(lines, {"load": load, "answered": answered, **added})


if __name__ == "__main__":
    sys.exit(run(__doc__, work, options, measured, {"qemu-system-x86_64": "qemu-system-x86"}))
