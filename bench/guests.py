"""Times virtual machines: eight until all of them answer, and guestwire's own part of a machine's start.

python bench/guests.py [--guests 8] [--rounds 3] [--quick] [--json FILE]

It needs root and QEMU, and touches nothing of this machine: it has its own mount, network and process namespaces.
"""

import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path
from statistics import median

from booting.work import work
from building import guestwire_way
from building.private import Failed, become_worker, measure
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


def main() -> int:
    """Exit code: 0 all figures were reached, 1 one was missed, 69 no QEMU, 77 no root."""
    words = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    words.add_argument("--guests", type=int, default=8, help="how many at once")
    words.add_argument("--rounds", type=int, default=3, help="rounds to take the median of")
    words.add_argument("--quick", action="store_true", help="one round of two guests: does it work?")
    words.add_argument("--json", type=Path, metavar="FILE", help="write everything that was measured")
    words.add_argument("--worker", help=argparse.SUPPRESS)
    given = words.parse_args()
    if given.worker:
        return become_worker(json.loads(given.worker), work)
    if os.geteuid():
        print("bench/guests.py needs root, to make namespaces of its own", file=sys.stderr)
        return 77
    if shutil.which("qemu-system-x86_64") is None:
        print("bench/guests.py needs QEMU (Debian's package qemu-system-x86)", file=sys.stderr)
        return 69
    count, rounds = (2, 1) if given.quick else (given.guests, given.rounds)
    guestwire_way.compile_source()
    load = os.getloadavg()[0]
    try:
        job = {"count": count, "rounds": rounds}
        added = {
            name: [1000 * value for value in values]
            for name, values in measure({**job, "what": "start"}, 300 * rounds).items()
        }
        answered = measure({**job, "what": "boot", **boots()}, 60 + 180 * rounds)["answered"]
    except Failed as error:
        print(f"bench/guests.py: {error}", file=sys.stderr)
        return 1
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
    print("\nFigures to reach", *(line.show() for line in lines), sep="\n")
    if given.json:
        machine = {"kernel": platform.release(), "python": platform.python_version(), "processors": os.cpu_count()}
        given.json.write_text(json.dumps({**machine, "load": load, "answered": answered, **added}, indent=1) + "\n")
    return 0 if all(line.verdict != "MISS" for line in lines) else 1


if __name__ == "__main__":
    sys.exit(main())
