"""The words that start QEMU: with all it needs handed to it as open descriptors, as an ordinary user, in its sandbox.

So QEMU needs no right on a user's images, on the project's folder or on a network device, and has none: no capability,
none to come (no_new_privs, an empty bounding set), and system calls that it has no use for are refused by the kernel
(`-sandbox`, seccomp(2)). Whoever breaks out of a guest into its QEMU stands there.

- The sockets of QMP, console and guest agent listen before QEMU starts (`-chardev socket,fd=`).
- Files that it opens itself come in numbered sets: who asks for `/dev/fdset/N` gets a copy of a descriptor in there
  (`-add-fd`). Locks on images belong to the open file, so they work as ever.
- A kernel and an initramfs are opened by `/dev/fd/N`, which opens the file anew, so they must be readable to that user.
- It is started without NICs and stopped (`-S`). Each is plugged in by QMP, at its own PCI slot, and then it is let run:
  at boot and later NICs come the same way. The machine is `pc`, whose PCI bus takes them at any time, by ACPI.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

__all__ = [
    "AGENT",
    "CONSOLE",
    "FIRST_SLOT",
    "LOG",
    "MOST_NICS",
    "PIDFILE",
    "PROGRAM",
    "QMP",
    "SOCKETS",
    "STDERR",
    "VARIABLES",
    "Drive",
    "Machine",
    "rights",
    "start",
    "typed",
]

PROGRAM = "qemu-system-x86_64"
QMP, CONSOLE, AGENT, LOG, STDERR, PIDFILE, VARIABLES = "qmp", "console", "agent", "log", "stderr", "pid", "variables"
"""What lies in a machine's folder: sockets, what the console said, QEMU's own words, its pid, UEFI's variables."""
SOCKETS = (QMP, CONSOLE, AGENT)
AGENT_PORT = "org.qemu.guest_agent.0"  # where qemu-ga looks for it
DISK_SLOTS, SERIAL_SLOT, RANDOM_SLOT, FIRST_SLOT = (3, 6), 4, 5, 8  # 0 to 2 are the board's own
MOST_NICS = 32 - FIRST_SLOT
SANDBOX = "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny"
TYPED_SANDBOX = "on,obsolete=deny,resourcecontrol=deny"  # it is yet to change its user, and to go into the background
BOARD = "pc"
FLASH = "flash"
LOG_SET, FLASH_SET, DISK_SET, LAYERS = 1, 2, 4, 100
"""The numbers of the sets with the descriptors of the log, of the firmware's two chips, of a disk's layers."""


@dataclass(frozen=True)
class Drive:
    """A file that holds a disk: its path and format, its descriptor where it is opened already, what lies under it."""

    path: str
    format: str
    writable: bool
    fd: int | None = None
    backing: Drive | None = None

    def layers(self) -> Iterator[Drive]:
        """It and what lies under it."""
        yield self
        if self.backing is not None:
            yield from self.backing.layers()


def rights(user: int, group: int, groups: Sequence[int] = ()) -> list[str]:
    """The options of setpriv(1) that leave QEMU nothing but that user and those groups."""
    beside = f"--groups={','.join(map(str, groups))}" if groups else "--clear-groups"
    with contextlib.suppress(OSError), open("/proc/self/setgroups") as file:
        if file.read().strip() == "deny":  # in an ordinary user's world, whose groups it keeps (user_namespaces(7))
            beside = "--keep-groups"
    return [
        *(f"--reuid={user}", f"--regid={group}", beside),
        *("--no-new-privs", "--bounding-set=-all", "--inh-caps=-all"),
    ]


@dataclass(frozen=True, kw_only=True)
class Machine:
    """What QEMU is to run. `memory` is in MiB; `files` are what it boots, by `kernel` and `initramfs`.

    `flash` are the chips of its firmware, where that isn't QEMU's own; `more` are further words of QEMU's.
    """

    name: str
    folder: str
    memory: int
    cpus: int
    accelerator: Sequence[str]
    files: Mapping[str, str]
    drives: Sequence[Drive] = ()
    flash: Sequence[Drive] = ()
    append: str | None = None
    more: Sequence[str] = ()
    user: int
    group: int
    groups: Sequence[int] = ()

    def board(self, kind: str, sandbox: str) -> list[str]:
        """The words for what has neither a file nor a socket."""
        words = [PROGRAM, "-name", f"guest={self.name}", "-no-user-config", "-nodefaults", "-display", "none"]
        words += ["-machine", kind, *self.accelerator, "-m", str(self.memory), "-smp", str(self.cpus)]
        return [*words, "-sandbox", sandbox]

    def talk(self, fds: Mapping[str, int]) -> list[str]:
        """The words for its sockets, those of `fds` or by their paths, and for what guests like to have."""
        log = f"logfile={f'/dev/fdset/{LOG_SET}' if LOG in fds else f'{self.folder}/{LOG}'},logappend=on"
        words = [*self._socket(QMP, fds), "-mon", f"chardev={QMP},mode=control"]
        words += [*self._socket(CONSOLE, fds, log), "-serial", f"chardev:{CONSOLE}"]
        words += [*self._socket(AGENT, fds), "-device", f"virtio-serial-pci,addr={SERIAL_SLOT:#x}"]
        words += ["-device", f"virtserialport,chardev={AGENT},name={AGENT_PORT}"]
        return [*words, "-device", f"virtio-rng-pci,addr={RANDOM_SLOT:#x}"]  # without any a guest waits for randomness

    def _socket(self, name: str, fds: Mapping[str, int], *more: str) -> list[str]:
        place = f"fd={fds[name]}" if name in fds else f"path={self.folder}/{name}"
        return ["-chardev", ",".join(["socket", f"id={name}", place, "server=on", "wait=off", *more])]

    def disk(self, number: int) -> list[str]:
        """The words for the device that shows a drive to the guest."""
        device = ["virtio-blk-pci", f"drive=disk{number}", f"addr={DISK_SLOTS[number]:#x}"]
        # A kernel that is given has that index itself.
        return ["-device", ",".join([*device, *(["bootindex=0"] if number == 0 and not self.files else [])])]

    def boot(self, fds: Mapping[str, int]) -> list[str]:
        """The words for a kernel that it is given."""
        words = []
        for option, name in (("-kernel", "kernel"), ("-initrd", "initramfs")):
            if name in self.files:
                words += [option, f"/dev/fd/{fds[name]}" if name in fds else self.files[name]]
        return [*words, *(["-append", self.append] if self.append else [])]


def start(machine: Machine, fds: Mapping[str, int]) -> list[str]:
    """The words that start a machine, in the background and for good; its pid file tells who it is.

    `fds` has the descriptors of the sockets, of the log and of what it boots.
    """
    pidfile = f"{machine.folder}/{PIDFILE}"
    given = rights(machine.user, machine.group, machine.groups)
    chips = [f"pflash{number}={FLASH}{number}" for number in range(len(machine.flash))]
    words = [*machine.board(",".join([BOARD, *chips]), SANDBOX), "-S"]
    words += ["-add-fd", f"set={LOG_SET},fd={fds[LOG]},opaque={pidfile}", *machine.talk(fds)]
    for number, chip in enumerate(machine.flash):
        words += _disk(chip, f"{FLASH}{number}", FLASH_SET + number)
    for number, drive in enumerate(machine.drives):
        words += [*_disk(drive, f"disk{number}", DISK_SET + LAYERS * number), *machine.disk(number)]
    words += [*machine.boot(fds), *machine.more]
    # Of sh's process setpriv and QEMU are made, one after the other: its pid is theirs.
    return ["setsid", "--fork", "sh", "-c", 'echo $$ >"$0" && exec "$@"', pidfile, "setpriv", *given, *words]


def typed(machine: Machine) -> list[str]:
    """The words that start such a machine from a shell: as root, to be an ordinary user once all is open."""
    words = [*machine.board(BOARD, TYPED_SANDBOX), *machine.talk({})]
    for chip in machine.flash:
        words += ["-drive", f"if=pflash,{_typed(chip)}"]
    for number, drive in enumerate(machine.drives):
        words += ["-drive", f"if=none,id=disk{number},{_typed(drive)}", *machine.disk(number)]
    words += [*machine.boot({}), *machine.more]
    words += ["-runas", f"{machine.user}:{machine.group}"] if machine.user else []
    return [*words, "-daemonize", "-pidfile", f"{machine.folder}/{PIDFILE}"]


def _typed(drive: Drive) -> str:
    read_only = "" if drive.writable else ",readonly=on"
    return f"format={drive.format}{read_only},file={drive.path.replace(',', ',,')}"


def _disk(drive: Drive, name: str, number: int) -> list[str]:
    """The words for a drive: the formats are said, so QEMU guesses none, and opens no file that a header names."""
    under = f"{name}-base"
    words = [] if drive.backing is None else _disk(drive.backing, under, number + 1)
    words += [] if drive.fd is None else ["-add-fd", f"set={number},fd={drive.fd},opaque={name}"]
    place = drive.path if drive.fd is None else f"/dev/fdset/{number}"
    file = {"driver": "file", "node-name": f"{name}-file", "filename": place}
    node: dict[str, str | None] = {"driver": drive.format, "node-name": name, "file": f"{name}-file"}
    if drive.format != "raw":
        node["backing"] = under if drive.backing else None
    for each in (file, node):
        told = {**each, "read-only": not drive.writable}
        words += ["-blockdev", json.dumps(told, separators=(",", ":"))]
    return words
