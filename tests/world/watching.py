"""A watch that a test runs in a sandbox: its lines are read as they come."""

from __future__ import annotations

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

__all__ = ["Watching", "picture", "watching"]

PATIENCE = 20  # seconds: far more than a repair takes, on a machine that is busy with other tests


class Watching:
    """A running watch. `lines` are those that it has printed so far."""

    def __init__(self, sandbox: Sandbox, process: subprocess.Popen[str]) -> None:
        self.sandbox = sandbox
        self.process = process
        self.lines: list[str] = []
        [child] = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        self.pid = int(child)

    def line(self, word: str) -> str:
        """The next line that has that word in it, waited for."""
        assert self.process.stdout
        deadline = monotonic() + PATIENCE
        while select.select([self.process.stdout], [], [], max(0.0, deadline - monotonic()))[0]:
            line = self.process.stdout.readline()
            if not line:
                break
            self.lines.append(line)
            if word in line:
                return line
        raise AssertionError(f"no line with {word!r}, only:\n{''.join(self.lines)}")

    def breaks(self, script: str, word: str) -> str:
        """Break something, and wait for the line that says so."""
        self.sandbox.sh(script)
        return self.line(word)

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
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, bufsize=1, text=True, cwd=sandbox.folder, env=env
    ) as process:
        try:
            assert process.stdout
            while (first := process.stdout.readline()) and not first.startswith("watching "):
                print(first, end="")
            assert first, "it ended before it began"
            found = Watching(sandbox, process)
            yield found
        finally:
            if process.poll() is None:
                children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
                for child in children:
                    os.kill(int(child), 15)
                process.wait(timeout=PATIENCE)


_PICTURES = "from tests.world.pictures import main; main()"


def picture(sandbox: Sandbox) -> Any:
    """All there is of projects and their hosts."""
    return json.loads(sandbox.python(_PICTURES).stdout)["values"]
