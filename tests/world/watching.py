"""A watch that a test runs in a sandbox: its lines are read as they come."""

from __future__ import annotations

import contextlib
import json
import os
import select
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic
from typing import Any

from tests.sandbox import SOURCE, Sandbox

__all__ = ["Watching", "again", "nothing_left", "picture", "watching"]

# Seconds: far more than a repair takes, on a machine that is busy with other tests; or on one that is emulated.
PATIENCE = 120 if "GUESTWIRE_MACHINE" in os.environ else 60


class Watching:
    """A running watch. `lines` are those that it has printed so far."""

    def __init__(self, sandbox: Sandbox, process: subprocess.Popen[bytes]) -> None:
        self.sandbox = sandbox
        self.process = process
        self.lines: list[str] = []
        self._rest = ""

    def line(self, word: str, patience: float = PATIENCE) -> str:
        """The next line that has that word in it, waited for."""
        assert self.process.stdout
        deadline = monotonic() + patience
        while True:
            while "\n" in self._rest:
                line, _, self._rest = self._rest.partition("\n")
                self.lines.append(line)
                if word in line:
                    return line
            if not select.select([self.process.stdout], [], [], max(0.0, deadline - monotonic()))[0]:
                break
            got = os.read(self.process.stdout.fileno(), 1 << 16)
            if not got:
                break
            self._rest += got.decode()
        raise AssertionError(f"no line with {word!r}, only:\n{chr(10).join(self.lines)}")

    def said(self) -> str:
        """All that it has said so far."""
        with contextlib.suppress(AssertionError):
            self.line("nothing of the kind", 0.1)
        return "\n".join(self.lines)

    def breaks(self, script: str, word: str) -> str:
        """Break something, and wait for the line that says so."""
        self.sandbox.sh(script)
        return self.line(word)

    @property
    def pid(self) -> int:
        """The watch's own, as this test sees it."""
        return int(_children(self.process.pid)[0])

    def rest(self) -> str:
        """What it has said since the last line, to its end."""
        assert self.process.stdout
        return self._rest + self.process.stdout.read().decode()

    def stop(self) -> int:
        """End it as an init system does; its exit code."""
        os.kill(self.pid, 15)
        return self.process.wait(timeout=PATIENCE)


@contextmanager
def watching(sandbox: Sandbox, *words: str, **environment: str) -> Iterator[Watching]:
    """A watch that has begun; it is ended afterwards."""
    command = sandbox.inside(sys.executable, "-u", "-m", "guestwire", "watch", *words)
    env = {**os.environ, "PYTHONPATH": str(SOURCE), "GUESTWIRE_TRACEBACK": "1", **environment}
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, bufsize=0, cwd=sandbox.folder, env=env
    ) as process:
        try:
            found = Watching(sandbox, process)
            found.line("watching ")
            yield found
        finally:
            if process.poll() is None:
                for child in _children(process.pid):
                    os.kill(int(child), 15)
                process.wait(timeout=PATIENCE)


def _children(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/task/{pid}/children").read_text().split()


_PICTURES = "from tests.world.pictures import main; main()"


def picture(sandbox: Sandbox) -> Any:
    """All there is of projects and their hosts."""
    return json.loads(sandbox.python(_PICTURES).stdout)["values"]


def again(watch: Watching, before: Any) -> None:
    """Wait until all is as it was: what was broken in several steps may be repaired in several."""
    deadline = monotonic() + PATIENCE
    while (now := picture(watch.sandbox)) != before and monotonic() < deadline:
        pass
    assert now == before, watch.said()


def nothing_left(sandbox: Sandbox) -> None:
    """Wait until there is nothing to do: the line of one repair may come before another of the same break."""
    deadline = monotonic() + PATIENCE
    while (drift := sandbox.json("status")["drift"]) and monotonic() < deadline:
        pass
    assert drift == []
