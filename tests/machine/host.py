"""A whole other host as a guest, in four seconds: Debian's kernel over this machine's own files.

What this machine's kernel lacks that one may have: VLAN filtering, 8021q, ipvlan, vrf, dummy, vhost-net, Open vSwitch.
All that is installed here is there, this checkout too, by virtiofs; what is written there goes to its memory, and is
gone afterwards. `run` boots it for one command, and nothing remains.
"""

from __future__ import annotations

import argparse
import os
import shlex
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from tests.machine.archive import archive, basis, text
from tests.machine.debian import CACHE, built
from tests.machine.guest import APPEND, kernel, modules

__all__ = ["Ended", "run"]

ROOT = Path(__file__).resolve().parents[2]
SERVERS = ("/usr/lib/qemu/virtiofsd", "/usr/libexec/virtiofsd")
"""Where Debian has the server of virtiofs: QEMU's own of old, and the one that came after."""
MODULES = ("virtio_pci", "virtio_console", "virtiofs", "overlay")
COMMAND = """#!/bin/sh
cd {root}
export GUESTWIRE_MACHINE=1 PATH="{bin}:$PATH"
modprobe -a br_netfilter tun vhost_net openvswitch 2>/dev/console
chmod 666 /dev/net/tun  # as udev has it
{it} </dev/null >/dev/said 2>&1
echo $? >/dev/code
echo o >/proc/sysrq-trigger  # power off
read -r never </dev/console
"""
MEMORY, CPUS = 2048, 2  # MiB
LONGEST = 6 * 3600  # seconds that a command gets where nobody says how many


class Ended(NamedTuple):
    """How a command ended there; without an exit code the host never got to it, or was too slow."""

    code: int | None
    said: str


def run(command: Sequence[str], seconds: float, *, aloud: bool = False) -> Ended:
    """Boot, run a command in the checkout as root, and end; with `aloud` what it says is printed at once.

    After `seconds` it is ended, wherever it is.
    """
    CACHE.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=CACHE, prefix="host-") as name, _files(Path(name)):
        folder = Path(name)
        script = folder / "command"
        script.write_text(
            COMMAND.format(root=shlex.quote(str(ROOT)), bin=Path(sys.executable).parent, it=shlex.join(command))
        )
        script.chmod(0o755)
        with (folder / "said").open("w+b") as said:
            machine = subprocess.Popen(_words(folder), stdin=subprocess.DEVNULL, stdout=None if aloud else said)
            try:
                machine.wait(seconds)
            except subprocess.TimeoutExpired:
                pass
            finally:
                machine.kill()
                machine.wait()
            said.seek(0)
            text = said.read().decode(errors="replace").replace("\r", "")
        code = (folder / "code").read_text().strip()
        told = "" if code or text else f"\nwhat its kernel said:\n{(folder / 'console').read_text(errors='replace')}"
        return Ended(int(code) if code else None, text + told)


@contextmanager
def _files(folder: Path) -> Iterator[None]:
    """Serve this machine's / on a socket in the folder, without what is mounted on it but what the checkout needs."""
    shared = folder / "root"
    shared.mkdir()
    server = next((path for path in SERVERS if os.path.exists(path)), None)
    assert server is not None, "virtiofsd is missing: install qemu-system-common, or virtiofsd"
    mounts = ["mount --bind / root"]
    for place in dict.fromkeys((str(ROOT), sys.prefix, sys.base_prefix)):
        if os.stat(place).st_dev != os.stat("/").st_dev:
            mounts.append(f"mount --bind {shlex.quote(place)} root{shlex.quote(place)}")
    source = f"-o source={shared} -o cache=always" if server == SERVERS[0] else f"--shared-dir {shared} --cache always"
    # It listens from the start, so that QEMU may call before the server is there.
    with socket.socket(socket.AF_UNIX) as listening, (folder / "files.log").open("w") as log:
        listening.bind(str(folder / "files"))
        listening.listen()
        script = " && ".join([*mounts, f"exec {server} --fd={listening.fileno()} {source}"])
        words = ["setpriv", "--pdeathsig", "KILL", "unshare", "-m", "sh", "-c", script]
        fds = [listening.fileno()]
        process = subprocess.Popen(words, cwd=folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log, pass_fds=fds)
    try:
        yield
    finally:
        process.kill()
        process.wait()


def _words(folder: Path) -> list[str]:
    """QEMU's command line."""
    append = f"{APPEND} folder={folder} modules={_modules()}"
    return [
        # What runs in here is the longest of the suite, and would be its end beside others that mostly wait.
        *("setpriv", "--pdeathsig", "KILL", "nice", "-n", "-5"),
        *("qemu-system-x86_64", "-M", "pc", "-accel", "tcg,thread=multi"),
        *("-m", str(MEMORY), "-smp", str(CPUS), "-nodefaults", "-no-user-config", "-no-reboot", "-display", "none"),
        *("-object", f"memory-backend-memfd,id=memory,size={MEMORY}M,share=on", "-numa", "node,memdev=memory"),
        *("-kernel", str(kernel()), "-initrd", str(_initramfs()), "-append", append),
        *("-serial", f"file:{folder}/console", "-device", "virtio-serial"),
        *("-chardev", "file,id=said,path=/dev/stdout,append=on", "-device", "virtserialport,chardev=said,name=said"),
        *("-chardev", f"file,id=code,path={folder}/code", "-device", "virtserialport,chardev=code,name=code"),
        *("-chardev", f"socket,id=files,path={folder}/files"),
        *("-device", "vhost-user-fs-pci,chardev=files,tag=root"),
    ]


@cache
def _initramfs() -> Path:
    first = Path(__file__).with_suffix(".sh")
    digest = sha256(first.read_bytes() + kernel().name.encode() + " ".join(MODULES).encode()).hexdigest()

    def write(made: Path) -> None:
        made.write_bytes(archive({**basis(modules(), MODULES), "init": text(first)}))

    return built(f"host-initramfs-{digest[:12]}", write)


@cache
def _modules() -> Path:
    """The folder of the kernel's modules, with what modprobe wants to know of them."""
    folder = modules()

    def index(made: Path) -> None:
        made.mkdir()
        (made / "lib/modules").mkdir(parents=True)
        (made / "lib/modules" / folder.name).symlink_to(folder)
        subprocess.run(["depmod", "-b", str(made), folder.name], check=True, timeout=60)

    built(f"modules-{folder.name}", index)
    return folder


if __name__ == "__main__":
    words = argparse.ArgumentParser(prog="tests.machine.host", description=__doc__.splitlines()[0] if __doc__ else None)
    words.add_argument("--seconds", type=float, default=LONGEST, help="when the command is ended, wherever it is")
    words.add_argument("command", nargs=argparse.REMAINDER)
    given = words.parse_args()
    ended = run(given.command, given.seconds, aloud=True)
    print(ended.said, end="")
    sys.exit(70 if ended.code is None else ended.code)
