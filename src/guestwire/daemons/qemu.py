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

import json
from collections.abc import Mapping, Sequence
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
    "Drive",
    "start",
]

PROGRAM = "qemu-system-x86_64"
QMP, CONSOLE, AGENT, LOG, STDERR, PIDFILE = "qmp", "console", "agent", "log", "stderr", "pid"
"""What lies in a machine's folder: three sockets, what the console said, QEMU's own words, and its pid."""
SOCKETS = (QMP, CONSOLE, AGENT)
AGENT_PORT = "org.qemu.guest_agent.0"  # where qemu-ga looks for it
DISK_SLOT, SERIAL_SLOT, RANDOM_SLOT, FIRST_SLOT = 3, 4, 5, 8  # 0 to 2 are the board's own
MOST_NICS = 32 - FIRST_SLOT
SANDBOX = "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny"
LOG_SET = 1
"""The number of the set with the log's descriptor; those of drives follow."""


@dataclass(frozen=True)
class Drive:
    """A file that holds a disk: its path and format, its descriptor where it is opened already, what lies under it."""

    path: str
    format: str
    writable: bool
    fd: int | None = None
    backing: Drive | None = None


def start(
    name: str,
    folder: str,
    *,
    memory: int,
    cpus: int,
    accelerator: Sequence[str],
    files: Mapping[str, str],
    fds: Mapping[str, int],
    drives: Sequence[Drive] = (),
    append: str | None = None,
    more: Sequence[str] = (),
    user: int,
    group: int,
    groups: Sequence[int] = (),
) -> list[str]:
    """The words that start a machine, in the background and for good; its pid file tells who it is.

    `memory` is in MiB. `files` are what it boots, `kernel` and `initramfs`. `fds` has the descriptors of those, of the
    sockets and of the log; what isn't in there QEMU opens itself, by its path. `more` are further words of QEMU's.
    """
    pidfile = f"{folder}/{PIDFILE}"
    log = f"logfile={f'/dev/fdset/{LOG_SET}' if LOG in fds else f'{folder}/{LOG}'},logappend=on"
    rights = [
        f"--reuid={user}",
        f"--regid={group}",
        f"--groups={','.join(map(str, groups))}" if groups else "--clear-groups",
    ]
    rights += ["--no-new-privs", "--bounding-set=-all", "--inh-caps=-all"]
    words = [PROGRAM, "-name", f"guest={name}", "-S", "-no-user-config", "-nodefaults", "-display", "none"]
    words += ["-machine", "pc", *accelerator, "-m", str(memory), "-smp", str(cpus), "-sandbox", SANDBOX]
    words += ["-add-fd", f"set={LOG_SET},fd={fds[LOG]},opaque={pidfile}"] if LOG in fds else []
    words += [*_talk(QMP, folder, fds), "-mon", f"chardev={QMP},mode=control"]
    words += [*_talk(CONSOLE, folder, fds, log), "-serial", f"chardev:{CONSOLE}"]
    words += [*_talk(AGENT, folder, fds), "-device", f"virtio-serial-pci,addr={SERIAL_SLOT:#x}"]
    words += ["-device", f"virtserialport,chardev={AGENT},name={AGENT_PORT}"]
    words += ["-device", f"virtio-rng-pci,addr={RANDOM_SLOT:#x}"]  # a guest without any waits for randomness
    for number, drive in enumerate(drives):
        words += _disk(drive, f"disk{number}", LOG_SET + 1 + 2 * number)
    if drives:
        boot = [] if files else ["bootindex=0"]  # a kernel that is given has that index itself
        words += ["-device", ",".join(["virtio-blk-pci", "drive=disk0", f"addr={DISK_SLOT:#x}", *boot])]
    for option, name in (("-kernel", "kernel"), ("-initrd", "initramfs")):
        if name in files:
            words += [option, f"/dev/fd/{fds[name]}" if name in fds else files[name]]
    words += ["-append", append] if append else []
    # Of sh's process setpriv and QEMU are made, one after the other: its pid is theirs.
    return ["setsid", "--fork", "sh", "-c", 'echo $$ >"$0" && exec "$@"', pidfile, "setpriv", *rights, *words, *more]


def _talk(name: str, folder: str, fds: Mapping[str, int], *more: str) -> list[str]:
    place = f"fd={fds[name]}" if name in fds else f"path={folder}/{name}"
    return ["-chardev", ",".join(["socket", f"id={name}", place, "server=on", "wait=off", *more])]


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
