"""A virtual machine: a QEMU process with a disk or a kernel, a console and no NIC; each NIC is a thing of its own.

QEMU is started stopped (daemons/qemu.py has its words); its NICs are plugged in by QMP, and then it is let run. What it
was started as lies in its folder, /run/guestwire/PROJECT/GUEST.vm, beside its pid and sockets: of memory, disks and
the like none can be changed in a QEMU that runs, so where one is to be otherwise the machine is ended and made anew.

What runs in a machine is lost with its QEMU. So it is ended last of all, past the point of return. First it is asked
to (`system_powerdown`, as by its power button), where its guest listens for that: it has then set bit 8 of the PC's
PM1 enable register (ACPI 6.5, 4.8.3.1.2, which Linux does once its `button` driver is there). All that are to end are
asked before the first is waited for.

QEMU's process may be there and say nothing on QMP, stopped by somebody, say: that is `hung`. One that has died leaves
its folder: that is `dead`.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import shlex
import shutil
import signal
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, Self, cast

from guestwire.daemons import accelerator, diskimage, firmware, qemu, typed
from guestwire.errors import Problem
from guestwire.kinds.pidfile import end_noted, living, noted, says
from guestwire.kinds.thing import Thing
from guestwire.linux.kernel import Kernel
from guestwire.linux.lending import lend
from guestwire.linux.netlink import Socket
from guestwire.linux.processes import held
from guestwire.linux.programs import has_ended, launch_program
from guestwire.linux.unixsocket import listening
from guestwire.picture import Key, Value, fact, fixed, passing, setting
from guestwire.places import RUN

if TYPE_CHECKING:
    from guestwire.daemons.qmp import Monitor
    from guestwire.kinds.vmnic import VmNic

__all__ = ["LOOK", "START", "Disk", "Vm", "folder_of", "monitor"]

START = 30.0  # seconds that a QEMU gets until it greets, with many of them starting at once
POWERDOWN = 10.0  # seconds that a guest gets to end after its power button was pressed
QUIT, KILL = 3.0, 5.0  # seconds that QEMU gets to write its disks and end; and the kernel to end it
LOOK = 3.0  # seconds of silence on QMP that say that a QEMU is hung
NOTE, ASKED = "vm.json", "asked-to-end"


class Disk(NamedTuple):
    """A disk: its file, that one's format, whether it is written to; and the images under it, each with its format."""

    file: str
    format: str
    writable: bool
    under: tuple[tuple[str, str], ...] = ()


def folder_of(name: str) -> str:
    """The folder of the machine, or of the machine's NIC, that is called so: PROJECT/GUEST, PROJECT/GUEST:NIC."""
    project, _, guest = name.partition(":")[0].partition("/")
    return f"{RUN}/{project}/{guest}.vm"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Vm(Thing):
    """A machine, called PROJECT/GUEST. `memory` is in MiB, `user` is who QEMU runs as; `more` are words of QEMU's.

    `kernel` and `initramfs` are a path, and the size and time of the file as it was.

    `why` says why it has that accelerator. `firmware` are UEFI's code and its variables as they are at first; empty, it
    is QEMU's own BIOS.

    `state` is as QMP tells it, "running" is what is wanted; also "hung" and "dead".
    """

    KIND: ClassVar[str] = "vm"
    RANK: ClassVar[int] = 62
    NAMED: ClassVar[bool] = True
    ASKED: ClassVar[bool] = True

    memory: int | None = fixed()
    cpus: int | None = fixed()
    accelerator: tuple[str, ...] | None = fixed()
    disks: tuple[tuple[str, str, bool, tuple[tuple[str, str], ...]], ...] | None = fixed()
    kernel: tuple[str | int, ...] | None = fixed()
    initramfs: tuple[str | int, ...] | None = fixed()
    append: str | None = fixed()
    user: int | None = fixed()
    group: int | None = fixed()
    firmware: tuple[str, ...] | None = fixed()
    more: tuple[str, ...] | None = fixed()
    state: str | None = setting()
    why: str = passing("")
    pid: int = fact(0)
    agent: bool = fact(False)

    # What is there

    @classmethod
    def read_all(cls, kernel: Kernel, keys: Iterable[Key]) -> Iterator[Thing]:
        found = [vm for key in keys if (vm := cls._noted(kernel, key)) is not None]
        asked: list[tuple[str, dict[str, Any]]] = [("query-status", {}), ("query-chardev", {})]
        sockets = {vm.socket: asked for vm in found if vm.pid}
        told: dict[str, Any] = {}
        if sockets:
            from guestwire.daemons.qmp import survey

            told = survey(sockets, LOOK)
        for vm in found:
            if vm.pid:
                answers = told[vm.socket]
                vm = replace(vm, state=_state(answers), agent=_has_agent(answers))
            yield vm

    @classmethod
    def _noted(cls, kernel: Kernel, key: Key) -> Self | None:
        """A machine as its folder and /proc tell of it; None where there is none."""
        folder = folder_of(key.name)
        pid, _ = next(living(kernel, key.netns, f"{folder}/{qemu.PIDFILE}"), (0, ()))
        if not pid and not os.path.isdir(folder):
            return None
        state = "hung" if pid else "dead"
        try:
            with open(f"{folder}/{NOTE}") as file:
                return replace(cls.from_json(json.load(file)), netns=key.netns, name=key.name, state=state, pid=pid)
        except (OSError, TypeError, ValueError):  # of another version, or somebody removed it
            owner = key.name.partition("/")[0]
            return cls(netns=key.netns, name=key.name, owner=owner, state=state, pid=pid)

    @property
    def folder(self) -> str:
        """Where its pid, its sockets, its log and the notes of its NICs are."""
        return folder_of(self.name)

    @property
    def socket(self) -> str:
        """The path of its QMP socket."""
        return f"{self.folder}/{qemu.QMP}"

    @property
    def guest(self) -> str:
        """The guest's name."""
        return self.name.partition("/")[2]

    @property
    def final(self) -> bool:
        return self.state != "dead"

    def can_return(self) -> bool:
        return self.state != "dead"

    def namespaces(self) -> tuple[str, ...]:
        return ()  # it outlives its namespace's name

    def loss(self, wanted: Thing) -> str | None:
        if not self.final:
            return None
        differs = {name: pair for name, pair in wanted.differs(self).items() if name != "state"}
        plain = {name: f" ({old} → {new})" if isinstance(new, int) else "" for name, (old, new) in differs.items()}
        what = ", ".join(f"{name}{change}" for name, change in sorted(plain.items()))
        return f"it restarts, since a machine that runs keeps what it was started with: {what}."

    def told(self) -> dict[str, Any]:
        """What it is and runs as, as JSON knows it."""
        return {
            "pid": self.pid or None,
            "memory": self.memory,
            "cpus": self.cpus,
            "accelerator": self.accelerator[1] if self.accelerator else None,
            "accelerator_why": self.why or None,
            "user": self.user,
            "agent": self.agent,
            "folder": self.folder,
        }

    def must_be_anew(self, seen: Value) -> bool:
        """Besides what can't be changed in a QEMU that runs: one that has died is begun anew."""
        dead = isinstance(seen, Vm) and seen.state == "dead"
        return dead or super(Vm, self).must_be_anew(seen)

    def differs(self, seen: Value) -> dict[str, tuple[Any, Any]]:
        """A machine that hung isn't brought back to that."""
        found = super(Vm, self).differs(seen)
        if self.state != "running":
            found.pop("state", None)
        return found

    # Starting

    def lacks(self, sock: Socket) -> Problem | None:
        if problem := self.without(qemu.PROGRAM, "qemu-system-x86") or self.without("setpriv", "util-linux"):
            return problem
        if not all(map(os.path.exists, self.firmware or ())):
            message = f"there is no UEFI firmware for guest {self.guest}: QEMU alone comes with a BIOS."
            return Problem(message, f"Install the package {firmware.UEFI_PACKAGE}, or write firmware: bios.")
        for disk in (Disk(*told) for told in self.disks or ()):
            for file, write in (disk.file, disk.writable), *((file, False) for file, _ in disk.under):
                if problem := self._in_use(file, write):
                    return problem
        return None

    def _in_use(self, file: str, write: bool) -> Problem | None:
        with contextlib.suppress(OSError):  # an overlay is yet to be made
            own = list(noted(f"{self.folder}/{qemu.PIDFILE}"))  # which ends before another begins
            users = [who for pid, who in diskimage.users(file, write=write).items() if pid not in own]
            if users:
                message = f"{file}, the disk of guest {self.guest}, is in use by {users[0]}."
                return Problem(message, "End that first, or give the guest an image of its own.")
        return None

    def trial_name(self) -> str:
        return f"{self.KIND} {self.name}"

    def create(self, kernel: Kernel) -> None:
        kernel.flush()
        end_noted(f"{self.folder}/{qemu.PIDFILE}")
        shutil.rmtree(self.folder, ignore_errors=True)
        os.makedirs(self.folder, mode=0o700)
        with open(f"{self.folder}/{NOTE}", "w") as file:
            file.write(self._note())
        with contextlib.ExitStack() as opened, kernel.inside(self.netns):
            sockets = [opened.enter_context(listening(f"{self.folder}/{name}")) for name in qemu.SOCKETS]
            fds = dict(zip(qemu.SOCKETS, (sock.fileno() for sock in sockets), strict=True))
            said = _open(opened, f"{self.folder}/{qemu.STDERR}", os.O_WRONLY | os.O_CREAT)
            fds[qemu.LOG] = _open(opened, f"{self.folder}/{qemu.LOG}", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
            machine = self._machine
            for name, path in machine.files.items():
                fds[name] = lend(path, int(self.user or 0), int(self.group or 0))
                opened.callback(os.close, fds[name])
            if self.firmware:
                shutil.copyfile(self.firmware[1], f"{self.folder}/{qemu.VARIABLES}")
            flash = [_opened(opened, chip) for chip in machine.flash]
            drives = [_opened(opened, drive) for drive in machine.drives]
            layers = [layer for drive in (*flash, *drives) for layer in drive.layers()]
            given = [*fds.values(), *(layer.fd for layer in layers if layer.fd is not None)]
            launch_program(qemu.start(replace(machine, drives=drives, flash=flash), fds), said, given)

    def _note(self) -> str:
        return json.dumps({**self.to_json(), "state": None})

    @property
    def _machine(self) -> qemu.Machine:
        drives = []
        for disk in (Disk(*told) for told in self.disks or ()):
            under = None
            for file, form in reversed(disk.under):
                under = qemu.Drive(file, form, writable=False, backing=under)
            drives.append(qemu.Drive(disk.file, disk.format, disk.writable, backing=under))
        chips = ((self.firmware[0], False), (f"{self.folder}/{qemu.VARIABLES}", True)) if self.firmware else ()
        return qemu.Machine(
            name=self.guest,
            folder=self.folder,
            memory=int(self.memory or 0),
            cpus=int(self.cpus or 1),
            accelerator=self.accelerator or (),
            files={name: path[0] for name in ("kernel", "initramfs") if (path := getattr(self, name))},
            drives=drives,
            flash=[qemu.Drive(path, "raw", writable) for path, writable in chips],
            append=self.append,
            more=self.more or (),
            user=int(self.user or 0),
            group=int(self.group or 0),
            groups=accelerator.groups() if "kvm" in (self.accelerator or ()) else (),
        )

    def finish(self, kernel: Kernel) -> None:
        """Let it run: its NICs are plugged in."""
        with monitor(self.name, START) as qmp:
            qmp.ask("cont")

    def change(self, kernel: Kernel, seen: Value) -> None:
        """Let it run: somebody has stopped the machine, or its QEMU."""
        assert isinstance(seen, Vm)
        if seen.state == "hung":
            with held(seen.pid, says(f"{self.folder}/{qemu.PIDFILE}")) as handle:
                if handle is not None:
                    signal.pidfd_send_signal(handle, signal.SIGCONT)
        with monitor(self.name) as qmp:
            qmp.ask("cont")

    def why_refused(self, number: int) -> str | None:
        if number == errno.ETIMEDOUT:
            return f"Its QEMU hangs: `kill -9 $(cat {self.folder}/{qemu.PIDFILE})`, and `up` starts it anew."
        return None

    # Ending

    def announce(self, kernel: Kernel) -> None:
        """Press its power button, where its guest listens for it."""
        if self.state != "running":
            return
        with contextlib.suppress(OSError), monitor(self.name) as qmp:
            if qmp.hears_power_button():
                qmp.ask("system_powerdown")
                with open(f"{self.folder}/{ASKED}", "w"):
                    pass

    def delete(self, kernel: Kernel) -> None:
        kernel.flush()
        for pid, _ in living(kernel, self.netns, f"{self.folder}/{qemu.PIDFILE}"):
            with held(pid, says(f"{self.folder}/{qemu.PIDFILE}")) as handle:
                if handle is not None:
                    self._end(handle)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _end(self, handle: int) -> None:
        """Wait for its guest to end where it was asked to; then have QEMU quit, and where it doesn't, kill it."""
        with contextlib.suppress(FileNotFoundError):
            asked = os.stat(f"{self.folder}/{ASKED}").st_mtime
            if has_ended(handle, max(0.0, asked + POWERDOWN - time.time())):
                return
        if self.state != "hung":
            with contextlib.suppress(OSError), monitor(self.name, QUIT) as qmp:
                qmp.ask("quit")
                if has_ended(handle, QUIT):
                    return
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(handle, signal.SIGKILL)
        if not has_ended(handle, KILL):
            raise OSError(errno.ETIMEDOUT, "the kernel doesn't end its QEMU")

    # In words

    def create_commands(self) -> list[str]:
        return self.joint_commands(())

    def joint_commands(self, parts: Sequence[Thing]) -> list[str]:
        nics = cast("Sequence[VmNic]", parts)
        folder = shlex.quote(self.folder)
        return [
            f"mkdir -p -m 700 {folder}",
            f"printf %s {shlex.quote(self._note())} > {folder}/{NOTE}",
            *([shlex.join(["cp", self.firmware[1], f"{self.folder}/{qemu.VARIABLES}"])] if self.firmware else []),
            *typed.started(qemu.typed(self._machine), self.netns, [nic.plug() for nic in nics]),
            *(line for nic in nics for line in nic.plugged_commands()),
        ]

    def change_commands(self, seen: Value) -> list[str]:
        assert isinstance(seen, Vm)
        return [
            *([f"kill -CONT {seen.pid}"] if seen.state == "hung" else []),
            typed.asked(self.socket, typed.ask("cont")),
        ]

    def delete_commands(self) -> list[str]:
        """Its power button, and QEMU's end where the guest doesn't mind that."""
        ended = [typed.powered_down(self.socket)] if self.state not in ("dead", "hung") else []
        killed = [f"kill -9 {self.pid}"] if self.state == "hung" else []
        return [*ended, *killed, f"rm -r {shlex.quote(self.folder)}"]


def monitor(name: str, seconds: float | None = None) -> Monitor:
    """A conversation with the QEMU of a machine, or of a machine's NIC, that is called so.

    Raises OSError; where it has ended as it started, with its own words.
    """
    from guestwire.daemons.qmp import ANSWER, Monitor

    folder = folder_of(name)
    try:
        return Monitor(f"{folder}/{qemu.QMP}", seconds or ANSWER)
    except (ConnectionError, FileNotFoundError) as error:
        said = ""
        with contextlib.suppress(OSError), open(f"{folder}/{qemu.STDERR}", errors="replace") as file:
            said = " ".join(file.read(4096).split())
        if not said:
            raise
        raise OSError(errno.EREMOTEIO, f"QEMU ended as it started: {said}") from error


def _state(answers: list[Any] | OSError) -> str:
    if isinstance(answers, OSError) or not answers[0]:
        return "hung"
    status = str(answers[0]["status"])
    return {"prelaunch": "paused", "suspended": "running"}.get(status, status)


def _has_agent(answers: list[Any] | OSError) -> bool:
    """Whether something in the guest has opened the port of the guest agent."""
    ports = [] if isinstance(answers, OSError) else answers[1] or []
    return any(port["label"] == qemu.AGENT and port["frontend-open"] for port in ports)


def _open(opened: contextlib.ExitStack, path: str, flags: int) -> int:
    fd = os.open(path, flags | os.O_CLOEXEC, 0o600)
    opened.callback(os.close, fd)
    return fd


def _opened(opened: contextlib.ExitStack, drive: qemu.Drive) -> qemu.Drive:
    under = _opened(opened, drive.backing) if drive.backing else None
    return replace(drive, fd=_open(opened, drive.path, os.O_RDWR if drive.writable else os.O_RDONLY), backing=under)
