"""A guest that boots in three seconds: Debian's cloud kernel, an initramfs of busybox, an image that boots by itself.

`Machine` runs one directly, to try all this; tests of guestwire hand the files to guestwire. What the guest does and
the words that it takes on the kernel's command line stand at the top of init.sh.
"""

from __future__ import annotations

import os
import select
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from functools import cache
from hashlib import sha256
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.machine.archive import Contents, archive, basis, text
from tests.machine.debian import CACHE, built, package

__all__ = ["APPEND", "Machine", "disk", "initramfs", "kernel", "modules"]

APPEND = "console=ttyS0 panic=-1 quiet no_timer_check"  # which would fail where emulation gets no processor
"""What every guest wants on its kernel's command line."""

LEAST_MEMORY = 128  # MiB; 96 boots without the agent
MODULES = (
    *("virtio_pci", "virtio_mmio", "virtio_net", "virtio_blk", "virtio_console", "8139cp", "e1000", "af_packet"),
    *("button", "evdev"),  # of the power button
    "isofs",  # of a seed
)
"""What of these the kernel hasn't built in is loaded, with what they need."""

HERE = Path(__file__).parent
SCRIPTS = {"init": "init.sh", "bin/configure": "configure.sh", "bin/plugged": "plugged.sh", "bin/leased": "leased.sh"}
BIOS = "serial 0\ndefault guest\nlabel guest\nlinux /vmlinuz\ninitrd /initrd\nappend {}\n"
UEFI = "title guest\nlinux /vmlinuz\ninitrd /initrd\noptions {}\n"
"""How both boot loaders are told the same: syslinux, and systemd-boot."""


@cache
def kernel() -> Path:
    """The kernel, as QEMU takes it."""
    (image,) = (package("linux-image-cloud-amd64") / "boot").glob("vmlinuz-*")
    return image


@cache
def modules() -> Path:
    """The folder of the kernel's modules, called by its version."""
    (folder,) = package("linux-image-cloud-amd64").glob("**/lib/modules/*")
    return folder


@cache
def initramfs(agent: bool = False) -> Path:
    """What the kernel starts with; with `agent` QEMU's own guest agent answers on org.qemu.guest_agent.0."""
    sources = [
        *(
            HERE / name
            for name in sorted(os.listdir(HERE))
            if name.endswith(".sh") or name in ("guest.py", "archive.py")
        )
    ]
    digest = sha256(b"".join(path.read_bytes() for path in sources))
    for name in ("linux-image-cloud-amd64", "busybox-static", *(["qemu-guest-agent"] if agent else [])):
        digest.update(package(name).name.encode())
    name = f"initramfs{'-agent' if agent else ''}-{digest.hexdigest()[:12]}"

    def write(made: Path) -> None:
        made.write_bytes(archive(_contents(agent)))

    return built(name, write)


@cache
def disk(form: str = "raw") -> Path:
    """An image, raw or qcow2, that boots by itself under BIOS and UEFI; its NICs ask for DHCP."""

    def convert(made: Path) -> None:
        _run("qemu-img", "convert", "-f", "raw", "-O", form, str(disk()), str(made))

    name = f"disk-{initramfs(agent=True).name}"
    return built(f"{name}.raw", _make_disk) if form == "raw" else built(f"{name}.{form}", convert)


def _make_disk(made: Path) -> None:
    """A FAT file system without partitions, which both SeaBIOS and OVMF start from."""
    tools = package("mtools") / "usr/bin"
    environment = {**os.environ, "PATH": f"{tools}:{os.environ['PATH']}", "MTOOLS_SKIP_CHECK": "1"}
    folder = made.parent
    command = f"{APPEND} nic=*,dhcp"
    (folder / "syslinux.cfg").write_text(BIOS.format(command))
    (folder / "loader.conf").write_text("default guest\ntimeout 0\n")
    (folder / "guest.conf").write_text(UEFI.format(command))
    with made.open("wb") as file:
        file.truncate(64 << 20)
    image = ("-i", str(made))
    _run(str(tools / "mformat"), *image, "-F", "-v", "GUEST", "::", env=environment)
    _run(str(tools / "mmd"), *image, "::/EFI", "::/EFI/BOOT", "::/loader", "::/loader/entries", env=environment)
    (boot,) = package("systemd-boot-efi").glob("usr/lib/systemd/boot/efi/systemd-bootx64.efi")
    for source, target in {
        kernel(): "/vmlinuz",
        initramfs(agent=True): "/initrd",
        folder / "syslinux.cfg": "/syslinux.cfg",
        boot: "/EFI/BOOT/BOOTX64.EFI",
        folder / "loader.conf": "/loader/loader.conf",
        folder / "guest.conf": "/loader/entries/guest.conf",
    }.items():
        _run(str(tools / "mcopy"), *image, str(source), f"::{target}", env=environment)
    _run(str(package("syslinux") / "usr/bin/syslinux"), "--install", str(made), env=environment)


def _contents(agent: bool) -> Contents:
    contents = basis(modules(), MODULES)
    contents |= {path: text(HERE / source) for path, source in SCRIPTS.items()}
    contents |= dict.fromkeys(("etc/acpi", "etc/acpi/PWRF"), contents["etc"])
    contents["etc/acpi/PWRF/00000080"] = text("#!/bin/sh\npoweroff -f\n")
    if agent:
        program = package("qemu-guest-agent") / "usr/sbin/qemu-ga"
        contents |= {"agent": contents["etc"], "agent/qemu-ga": text(program)}
        contents |= {f"agent/{name}": text(library) for name, library in _libraries(program)}
    return contents


def _libraries(program: Path) -> Iterator[tuple[str, Path]]:
    """A program's shared libraries, of this machine, by name; the one that loads them as `loader`."""
    for line in _run("ldd", str(program)).splitlines():
        name, _, path = line.strip().partition(" => ")
        if path.startswith("/"):
            yield name, Path(path.split(" (")[0])
        elif name.startswith("/"):
            yield "loader", Path(name.split(" (")[0])
        else:
            assert "not found" not in path, f"{program.name} needs {name}, which comes with QEMU"


def _run(*words: str, env: dict[str, str] | None = None) -> str:
    done = subprocess.run(words, env=env, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, f"{words} ended with {done.returncode}: {done.stdout}{done.stderr}"
    return done.stdout


class Machine:
    """A guest under QEMU's own emulation, with its serial console at hand; ended with the block."""

    def __init__(self, *words: str, memory: int = LEAST_MEMORY, append: str = "", image: Path | None = None) -> None:
        """With `words` for QEMU beside, from the kernel with `append` on its command line, or from an image."""
        start = ["-kernel", str(kernel()), "-append", f"{APPEND} {append}"]
        start += [] if "-initrd" in words else ["-initrd", str(initramfs())]
        if image is not None:
            start = ["-drive", f"file={image},if=virtio,snapshot=on,format={image.suffix[1:]}"]
        basic = ["-M", "pc", "-accel", "tcg", "-m", str(memory), "-nodefaults", "-no-user-config", "-no-reboot"]
        self._words = ["qemu-system-x86_64", *basic, "-display", "none", "-serial", "stdio", *start, *words]
        self.said = ""

    def __enter__(self) -> Self:
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(self._words, stdin=pipe, stdout=pipe, stderr=subprocess.STDOUT)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(60)
        for stream in (self.process.stdin, self.process.stdout):
            assert stream is not None
            stream.close()

    def ready(self) -> None:
        """Wait until it is set up, and its shell asks for a command."""
        self.until("guest: up\n")
        self.until("guest# ")

    def until(self, text: str, seconds: float = 60) -> str:
        """What the console says up to `text`, since it was last asked."""
        assert self.process.stdout is not None
        end = time.monotonic() + seconds
        while text not in self.said:
            ready, _, _ = select.select([self.process.stdout], [], [], max(0.0, end - time.monotonic()))
            more = os.read(self.process.stdout.fileno(), 1 << 16) if ready else b""
            assert more, f"the guest never said {text!r}:\n{self.said}"
            self.said += more.decode(errors="replace").replace("\r", "")
        before, _, self.said = self.said.partition(text)
        return before

    def run(self, command: str, seconds: float = 30) -> str:
        """What a shell command prints in the guest, errors too."""
        assert self.process.stdin is not None
        mark = f"ended-{time.monotonic_ns()}"
        self.process.stdin.write(f"{command}; echo {mark[:5]}''{mark[5:]}\n".encode())
        self.process.stdin.flush()
        told = self.until(mark + "\n", seconds)
        return told.split("\n", 1)[1] if "\n" in told else told


if __name__ == "__main__":
    made = [kernel(), initramfs(), initramfs(agent=True)]
    made += [disk(), disk("qcow2")] if shutil.which("qemu-img") else []
    print(*(path.relative_to(CACHE) for path in made), sep="\n")
