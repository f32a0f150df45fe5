"""A terminal with a command of guestwire's on it, as a person has it."""

from __future__ import annotations

import os
import pty
import select
import signal
import subprocess
import sys
import termios
import time
from types import TracebackType
from typing import Self

from tests.sandbox import SOURCE, Sandbox

__all__ = ["Terminal", "asked_to_end"]


def asked_to_end(process: subprocess.Popen[bytes]) -> int:
    """Send a command of a sandbox SIGTERM, past the nsenter that stands between; its exit code."""
    with open(f"/proc/{process.pid}/task/{process.pid}/children") as file:
        (pid,) = map(int, file.read().split())
    os.kill(pid, signal.SIGTERM)
    return process.wait(60)


class Terminal:
    """The command runs on a terminal of its own until the block ends."""

    def __init__(self, sandbox: Sandbox, *words: str) -> None:
        self._ours, self._theirs = pty.openpty()
        self.before = termios.tcgetattr(self._theirs)
        self.said = ""
        self.process = subprocess.Popen(
            sandbox.inside(sys.executable, "-m", "guestwire", *words),
            stdin=self._theirs,
            stdout=self._theirs,
            stderr=self._theirs,
            cwd=sandbox.folder,
            env={**os.environ, "PYTHONPATH": str(SOURCE)},
            start_new_session=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.process.kill()
        self.process.wait(60)
        os.close(self._ours)
        os.close(self._theirs)

    @property
    def now(self) -> list[object]:
        """The terminal's settings, to be compared with those `before`."""
        return termios.tcgetattr(self._theirs)

    def type(self, keys: str) -> None:
        """Press keys."""
        os.write(self._ours, keys.encode())

    def until(self, text: str, seconds: float = 60) -> str:
        """What the terminal shows up to `text`, since it was last asked."""
        end = time.monotonic() + seconds
        while text not in self.said:
            ready, _, _ = select.select([self._ours], [], [], max(0.0, end - time.monotonic()))
            assert ready, f"the terminal never showed {text!r}:\n{self.said}"
            self.said += os.read(self._ours, 1 << 16).decode(errors="replace").replace("\r", "")
        before, _, self.said = self.said.partition(text)
        return before

    def asked_to_end(self) -> int:
        """Send the command SIGTERM; its exit code."""
        return asked_to_end(self.process)
