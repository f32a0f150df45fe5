"""A guest's console from without: what it said, and what its shell answers."""

from __future__ import annotations

import os
import select
import socket
import subprocess
import time
from pathlib import Path
from typing import Any

from tests.machine.guest import APPEND, initramfs, kernel
from tests.sandbox import Sandbox

__all__ = ["MACHINE", "Console", "folder", "idle", "logged", "machine"]

MACHINE = f"kind: qemu, memory: 128M, kernel: {kernel()}, initramfs: {initramfs()}"
"""The keys of a guest that boots in three seconds."""


def machine(nics: str, *settings: str, more: str = "") -> str:
    """A guest of the file: its NICs, and the words of its command line that set them up."""
    words = " ".join((APPEND, *settings))
    return f'{{{MACHINE}, append: "{words}", nics: {nics}{more and f", {more}"}}}'


def idle(path: Path) -> Path:
    """A disk from which a machine starts and does nothing: its boot sector is `cli; hlt; jmp`, back to the `hlt`.

    The second is the same, so it is a kernel too (QEMU starts what has no header there). From a disk of less than a
    cylinder a BIOS reads nothing, and asks the network for what to boot, for ever.
    """
    halt = b"\xfa\xf4\xeb\xfd"
    path.write_bytes(halt.ljust(510, b"\0") + b"\x55\xaa" + halt)
    os.truncate(path, 1 << 20)
    return path


def folder(sandbox: Sandbox, guest: str, project: str = "lab") -> str:
    """A machine's folder in a sandbox, as it is seen from here."""
    return f"/proc/{sandbox.pid}/root/run/guestwire/{project}/{guest}.vm"


def logged(sandbox: Sandbox, guest: str, text: str, *, project: str = "lab", seconds: float = 90) -> str:
    """Wait until a guest's console has said `text`; all that it said until then."""
    log = f"{folder(sandbox, guest, project)}/log"
    said = ""
    with subprocess.Popen(["tail", "-n", "+1", "-f", log], stdout=subprocess.PIPE) as tail:
        assert tail.stdout is not None
        try:
            end = time.monotonic() + seconds
            while text not in said:
                ready, _, _ = select.select([tail.stdout], [], [], max(0.0, end - time.monotonic()))
                assert ready, f"guest {guest} never said {text!r}:\n{said}"
                said += os.read(tail.stdout.fileno(), 1 << 16).decode(errors="replace").replace("\r", "")
        finally:
            tail.kill()
    return said


class Console:
    """A guest's shell at its serial console."""

    def __init__(self, sandbox: Sandbox, guest: str, project: str = "lab") -> None:
        logged(sandbox, guest, "guest: up\n", project=project)
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.connect(f"{folder(sandbox, guest, project)}/console")
        self._said = ""
        self.run("stty -echo")

    def __enter__(self) -> Console:
        return self

    def __exit__(self, *about: Any) -> None:
        self._socket.close()

    def run(self, command: str, seconds: float = 60) -> str:
        """What a shell command prints in the guest, errors too."""
        mark = f"ended-{time.monotonic_ns()}"
        self._socket.settimeout(seconds)
        self._socket.sendall(f"{command}; echo {mark[:5]}''{mark[5:]}\n".encode())
        while f"{mark}\n" not in self._said:
            more = self._socket.recv(1 << 16)
            assert more, f"the guest has ended:\n{self._said}"
            self._said += more.decode(errors="replace").replace("\r", "")
        before, _, self._said = self._said.partition(f"{mark}\n")
        return before.replace("guest# ", "")
