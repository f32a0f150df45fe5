"""What runs a guest's processor: KVM where it works, else TCG, found by trying a tiny guest on it.

That /dev/kvm is there and opens says little. Inside a virtual machine, in some clouds, it answers all that QEMU asks
and then runs a guest's kernel an instruction at a time, a thousand times slower than the processor: the guest seems to
hang as it boots. TCG, which translates a guest's code into the host's, is ten to fifty times slower, and works
anywhere. So the trial does what a kernel does (trial.s beside this), and is given processor time that is ample for TCG.

How it went is remembered in a file below /run, until the next boot. It is tried anew where QEMU, the kernel, or who
runs it is another; or where somebody removes that file.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Literal, Self

from guestwire.linux.programs import find_program, with_sbin

__all__ = ["DONE", "FILE", "NODE", "ROM", "Accelerator", "Trial", "best", "groups"]

FILE = "accelerator.json"
NODE = "/dev/kvm"
DONE, DONE_CODE = b"PLCT", 33
"""What the trial's guest says from its start to its end, and what QEMU ends with then."""
PROCESSOR, PATIENCE = 0.2, 3.0  # seconds of processor time that the trial may take, and of time altogether
MOST = 3  # seconds of processor time after which the kernel ends it, whatever has become of us
LOOK = 0.02  # seconds between two looks at how much it has taken
CODE = bytes.fromhex(
    """
    fa2e660f011660010f20c00c010f22c066ea1800ffff1800b8100000008ed88ec08ed0b050e6e9bf00100000b90014000031c0f3abc70500
    10000003200000c7050020000003300000c7051820000003400000c7050030000083000000c705b84f00009300e0fec705f84f00008300e0
    ffb8001000000f22d8b8200000000f22e0b9800000c00f320d000100000f30b8010000800f22c0ea9e00ffff0800b8100000008ed0bc0080
    0000b04ce6e9bf00520000b82c01ffff66890766c74702080066c74704008ec1e810668947060f011d91000000b980841e00ff0425007000
    00ffc975f5b043e6e9bf0000e0fec787f0000000ff010000c787e00300000b000000c7872003000020000200c7878003000040420f00bb03
    000000fbf485db7ffbb054e6e9b010e6f4f4ebfdffcbc787b00000000000000048cf660f1f440000000000000000000000000000009b2000
    ffff00000093cf00ffff0000009bcf001f004001ffff0f020050
    """
)
JUMP = bytes.fromhex("e90d")
ROM = CODE.ljust(0xFFF0, b"\0") + JUMP.ljust(16, b"\0")
"""trial.s, assembled."""


@dataclass(frozen=True)
class Accelerator:
    """What QEMU's `-accel` is to be, and why."""

    name: Literal["kvm", "tcg"]
    why: str


def best(program: str, memory: str, rights: Sequence[str] = ()) -> Accelerator:
    """The best that works for QEMU `program`, with those options of setpriv(1); the file `memory` keeps it."""
    with Trial(program, memory, rights) as trial:
        return trial.answer()


def groups() -> list[int]:
    """The group that may open the node, where one may: an ordinary user's QEMU must be in it."""
    try:
        seen = os.stat(NODE)
    except OSError:
        return []
    return [seen.st_gid] if seen.st_gid and seen.st_mode & 0o060 == 0o060 else []


class Trial:
    """A trial that goes on beside us until somebody asks for its `answer`; a context, at whose end it is over.

    It ends when we do, however that is. What can't be remembered is tried again the next time.
    """

    def __init__(self, program: str, memory: str, rights: Sequence[str] = ()) -> None:
        self._memory = memory
        self._about = [os.uname().release, program, _modified(program), list(rights)]
        self._known = self._remembered()
        self._begun = time.monotonic()
        self._process: subprocess.Popen[bytes] | None = None
        if self._known is None and not os.path.exists(NODE):
            self._known = Accelerator("tcg", f"there is no {NODE}")
        elif self._known is None:
            self._process = _started(program, rights)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.communicate()

    def answer(self) -> Accelerator:
        """What came of it; waits for it up to PATIENCE seconds from its start."""
        if self._known is None:
            self._known = self._awaited()
            self._remember(self._known)
        return self._known

    def _awaited(self) -> Accelerator:
        assert self._process is not None
        handle = os.pidfd_open(self._process.pid)
        try:
            ending = select.poll()
            ending.register(handle, select.POLLIN)
            while not ending.poll(LOOK * 1000):
                if _used(self._process.pid) > PROCESSOR:
                    return Accelerator("tcg", self._too_slow(f"{PROCESSOR:g} s of processor time"))
                if time.monotonic() - self._begun > PATIENCE:
                    return Accelerator("tcg", self._too_slow(f"{PATIENCE:g} s"))
        finally:
            os.close(handle)
        said, complained = self._process.communicate()
        if said == DONE and self._process.returncode == DONE_CODE:
            return Accelerator("kvm", f"a trial guest ran on {NODE}")
        if b"Permission denied" in complained:
            return Accelerator("tcg", f"{NODE} isn't open to the user that QEMU runs as")
        words = " ".join(complained.decode(errors="replace").split()) or f"it ended with {self._process.returncode}"
        return Accelerator("tcg", f"no guest runs on {NODE}: {words}")

    @staticmethod
    def _too_slow(time: str) -> str:
        return f"{NODE} is there, but a trial guest on it wasn't done after {time}, where 0.02 s will do"

    def _remembered(self) -> Accelerator | None:
        with contextlib.suppress(OSError, ValueError, LookupError, TypeError), open(self._memory) as file:
            found = json.load(file)
            # A node that has come or gone since is news.
            if found["about"] == self._about and found["node"] == os.path.exists(NODE):
                return Accelerator(found["name"], found["why"])
        return None

    def _remember(self, found: Accelerator) -> None:
        told = {"about": self._about, "node": os.path.exists(NODE), "name": found.name, "why": found.why}
        beside = f"{self._memory}.{os.getpid()}"
        try:
            with open(beside, "w") as file:
                json.dump(told, file)
            os.rename(beside, self._memory)
        except OSError:
            with contextlib.suppress(OSError):
                os.unlink(beside)


def _modified(program: str) -> int:
    found = find_program(program)
    return os.stat(found).st_mtime_ns if found else 0


def _started(program: str, rights: Sequence[str]) -> subprocess.Popen[bytes]:
    rom = os.memfd_create("trial")
    try:
        os.write(rom, ROM)
        words = ["sh", "-c", f'ulimit -t {MOST} && exec "$@"', "sh"]
        words += ["setpriv", "--pdeathsig=KILL", *rights, program, "-accel", "kvm", "-machine", "pc", "-m", "16"]
        words += ["-no-user-config", "-nodefaults", "-display", "none", "-no-reboot", "-bios", f"/dev/fd/{rom}"]
        words += ["-debugcon", "stdio", "-device", "isa-debug-exit,iobase=0xf4"]
        pipe, null = subprocess.PIPE, subprocess.DEVNULL
        # In a session of its own: a Ctrl-C is ours alone to act on.
        return subprocess.Popen(
            words,
            stdin=null,
            stdout=pipe,
            stderr=pipe,
            pass_fds=[rom],
            start_new_session=True,
            cwd="/",
            env=with_sbin(),
        )
    finally:
        os.close(rom)


def _used(pid: int) -> float:
    """The seconds of processor time that a process has taken (utime and stime in proc_pid_stat(5))."""
    with open(f"/proc/{pid}/stat", "rb") as file:
        words = file.read().rpartition(b")")[2].split()
    return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")
