"""guestwire watch as a process of its own: started, told of, ended, its lines read as they come."""

import os
import select
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from building.guestwire_way import SOURCE
from building.private import Failed

PATIENCE = 30.0


class Kept:
    """A running watch. `line` waits for what it says."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self.process = process
        self._rest = b""

    def held(self) -> tuple[int, int]:
        """KiB of memory, and open files."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        memory = next(line.split()[1] for line in status.splitlines() if line.startswith("VmRSS"))
        return int(memory), len(os.listdir(f"/proc/{self.process.pid}/fd"))

    def line(self, word: str) -> tuple[str, float]:
        """The next line with that word, and when it came."""
        assert self.process.stdout
        deadline = time.perf_counter() + PATIENCE
        said = []
        while True:
            while b"\n" in self._rest:
                line, _, self._rest = self._rest.partition(b"\n")
                said.append(line.decode())
                if word in said[-1]:
                    return said[-1], time.perf_counter()
            left = deadline - time.perf_counter()
            if left <= 0 or not select.select([self.process.stdout], [], [], left)[0]:
                raise Failed(f"watch said nothing of {word!r}: {' | '.join(said[-3:])}")
            got = os.read(self.process.stdout.fileno(), 1 << 16)
            if not got:
                raise Failed(f"watch ended: {' | '.join(said[-3:])}")
            self._rest += got


@contextmanager
def watching(path: str) -> Iterator[Kept]:
    """A watch that has begun."""
    words = [sys.executable, "-u", "-m", "guestwire", "watch", path]
    environment = {**os.environ, "PYTHONPATH": str(SOURCE)}
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=environment) as process:
        try:
            kept = Kept(process)
            kept.line("watching ")
            yield kept
        finally:
            process.terminate()
            process.wait(timeout=PATIENCE)
