"""guestwire itself, each verb as a whole process: seconds, and the most memory it held."""

import compileall
import os
import subprocess
import sys
import time
from pathlib import Path

from .private import Failed

SOURCE = Path(__file__).resolve().parents[2] / "src"
NETWORKS = {
    "veth": "{type: bridge, subnet: 10.77.0.0/16}",
    "nat": "{type: bridge, subnet: 10.77.0.0/16, nat: true, dhcp: true}",
    "macvlan": "{type: macvtap, uplink: p0, mode: bridge, subnet: 10.78.0.0/16}",
    "tap": "{type: bridge, subnet: 10.77.0.0/16}",
}
GUESTS = {"tap": "kind: process, "}


def compile_source() -> None:
    """Byte-compile what is measured, as pip does what it installs.

    Else each run compiles it anew, 0.1 s, where Python is told to write no byte code (PYTHONDONTWRITEBYTECODE).
    """
    compileall.compile_dir(SOURCE, quiet=1)


def file_for(kind: str, count: int) -> Path:
    """Write the file of `count` guests into the private /run."""
    path = Path("/run/bench.yaml")
    guests = f"{{{GUESTS.get(kind, '')}count: {count}, nics: [lan]}}"
    path.write_text(f"name: bench\nnetworks:\n  lan: {NETWORKS[kind]}\nguests:\n  g: {guests}\n")
    return path


def empty_file() -> Path:
    """Write a file that asks for nothing, by which a verb takes as long as it takes to start."""
    path = Path("/run/empty.yaml")
    path.write_text("name: empty\n")
    return path


def verb(*words: str) -> tuple[float, float]:
    """Run one verb; seconds and MB. Failed with its first line where its exit code isn't 0."""
    return process([sys.executable, "-m", "guestwire", *words])


def process(program: list[str]) -> tuple[float, float]:
    """Run a program to its end; seconds, and the most MB that it or a process it waited for held."""
    environment = dict(os.environ)
    environment["PYTHONPATH"] = os.pathsep.join([str(SOURCE), *filter(None, [environment.get("PYTHONPATH")])])
    # A process counts its memory from the moment it is forked from us, so our own is the least that can be seen.
    with open("/run/bench.err", "w+", encoding="utf-8") as err:
        began = time.perf_counter()
        started = subprocess.Popen(
            program, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=err, env=environment
        )
        _, status, usage = os.wait4(started.pid, 0)
        seconds = time.perf_counter() - began
        started.returncode = os.waitstatus_to_exitcode(status)
        if started.returncode:
            err.seek(0)
            lines = err.read().strip().splitlines() or ["no message"]
            told = lines[-1] if lines[0].startswith("Traceback") else lines[0]
            raise Failed(f"{' '.join(program[1:5])}: exit code {started.returncode}: {told}")
    return seconds, usage.ru_maxrss / 1024


def first_line_of_help() -> float:
    """Seconds from process start to the first line of --help."""
    environment = {**os.environ, "PYTHONPATH": str(SOURCE)}
    began = time.perf_counter()
    program = [sys.executable, "-m", "guestwire", "--help"]
    with subprocess.Popen(program, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment) as started:
        assert started.stdout
        assert started.stderr
        line = started.stdout.readline()
        seconds = time.perf_counter() - began
        started.stdout.read()
        trouble = started.stderr.read().decode().strip().splitlines()
    if not line:
        raise Failed(f"guestwire --help: {trouble[-1] if trouble else 'nothing printed'}")
    return seconds
