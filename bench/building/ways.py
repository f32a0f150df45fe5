"""The ways of building guests that are measured side by side, each by its name."""

import os
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from sys import executable

from . import cni, ip_batch, pyroute2_ways
from .private import Failed, protect_sysctls

HERE = Path(__file__).parent
SYSTEM_PYTHON = "/usr/bin/python3"
PACKAGES = ("gcc", "libc6-dev", "iproute2", "util-linux", "mininet", "bridge-utils", "containernetworking-plugins")
BOTH, VETH = ("veth", "macvlan"), ("veth",)
ALL = (*BOTH, "tap")


def _present() -> str | None:
    return None


def install() -> list[str]:
    """The lines that install the peers: for this Python, and for the system where that is Debian's kind."""
    lines = [f"{executable} -m pip install -q -r {HERE.parent / 'requirements.txt'}"]
    if shutil.which("apt-get"):
        lines.append(f"apt-get install -y -q --no-install-recommends {' '.join(PACKAGES)}")
    return lines


def _nothing() -> None:
    pass


@dataclass(frozen=True)
class Way:
    """One way. `build` and `down` take a kind and a count and run inside the worker's namespaces."""

    name: str
    build: Callable[[str, int], None]
    down: Callable[[str, int], None]
    kinds: tuple[str, ...] = VETH
    absent: Callable[[], str | None] = _present
    prepare: Callable[[], None] = _nothing
    once: bool = False  # too slow to be run in each round
    guest: str | None = "g-{}"  # how `ip netns` lists its guests


def compile_floor(into: Path) -> str | None:
    """Compile floor.c; why it couldn't be, or None."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if not compiler:
        return "no C compiler (Debian: gcc, linux-libc-dev)"
    program = str(into / "floor")
    command = [compiler, "-O2", "-Wall", "-o", program, str(HERE / "floor.c")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        return f"floor.c: {(done.stderr.strip().splitlines() or ['not compiled'])[0]}"
    os.environ["BENCH_FLOOR"] = program
    return None


def _run(program: list[str], verb: str, kind: str, count: int) -> None:
    done = subprocess.run([*program, verb, kind, str(count)], capture_output=True, text=True, check=False)
    if done.returncode:
        raise Failed((done.stderr.strip().splitlines() or [f"{program[-1]}: exit code {done.returncode}"])[-1])


def _floor_c(verb: str, kind: str, count: int) -> None:
    _run([os.environ["BENCH_FLOOR"]], verb, kind, count)


def _floor_python(verb: str, kind: str, count: int) -> None:
    _run([executable, "-S", str(HERE / "floor_python.py")], verb, kind, count)


class _Mininet:
    """Mininet in its own process, which lives from build to down."""

    def absent(self) -> str | None:
        done = subprocess.run([SYSTEM_PYTHON, "-c", "import mininet.net"], capture_output=True, check=False)
        if done.returncode or not shutil.which("mnexec") or not shutil.which("brctl"):
            return "Mininet is not installed (Debian: mininet, bridge-utils)"
        return None

    def build(self, _kind: str, count: int) -> None:
        protect_sysctls()
        program = [SYSTEM_PYTHON, str(HERE / "mininet_way.py"), str(count)]
        self._process = subprocess.Popen(program, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self._expect_done()
        self._order("build")

    def down(self, _kind: str, _count: int) -> None:
        self._order("down")

    def _order(self, order: str) -> None:
        assert self._process.stdin
        self._process.stdin.write(order + "\n")
        self._process.stdin.flush()
        self._expect_done()

    def _expect_done(self) -> None:
        assert self._process.stdout
        if self._process.stdout.readline().strip() != "done":
            raise Failed("Mininet ended with an error")


def _cni(name: str, at_a_time: int) -> Way:
    build, down = (partial(verb, at_a_time=at_a_time) for verb in (cni.build, cni.down))
    return Way(name, build, down, VETH, cni.absent, once=True)


_mininet = _Mininet()
_naive, _batch = pyroute2_ways, pyroute2_ways
WAYS = {
    way.name: way
    for way in (
        Way("floor-c", partial(_floor_c, "build"), partial(_floor_c, "down"), ALL),
        Way("floor-python", partial(_floor_python, "build"), partial(_floor_python, "down"), ALL),
        Way("ip-batch", partial(ip_batch.build, enter=ip_batch.by_option), ip_batch.down, BOTH),
        Way("ip-batch-nsenter", partial(ip_batch.build, enter=ip_batch.by_nsenter), ip_batch.down, BOTH),
        Way("pyroute2-batch", _batch.build_batch, _batch.down_batch, VETH, _batch.absent, _batch.prepare),
        Way("pyroute2-naive", _naive.build_naive, _naive.down_naive, VETH, _naive.absent, _naive.prepare, once=True),
        Way("mininet", _mininet.build, _mininet.down, VETH, _mininet.absent, once=True, guest=None),
        *(_cni(name, at_a_time) for name, at_a_time in (("cni", 1), ("cni-2", 2))),
    )
}
GUESTWIRE, THROUGHPUT = "guestwire", "throughput"
NAMES = [*WAYS, GUESTWIRE, THROUGHPUT]
