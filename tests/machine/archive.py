"""An initramfs in memory: busybox with all its names, the kernel's modules that are asked for, and what else is put in.

Contents are mode and bytes of each path. The archive is written here, not by cpio, so that nobody's rights matter.
"""

from __future__ import annotations

import lzma
import re
import stat
import subprocess
from collections.abc import Iterable
from pathlib import Path

from tests.machine.debian import package

__all__ = ["Contents", "archive", "basis", "text"]

Contents = dict[str, tuple[int, bytes]]


def text(content: str | bytes | Path, mode: int = 0o755) -> tuple[int, bytes]:
    """A file of a path's content, or of that which is given."""
    data = content.read_bytes() if isinstance(content, Path) else content
    return stat.S_IFREG | mode, data.encode() if isinstance(data, str) else data


def basis(modules: Path, names: Iterable[str]) -> Contents:
    """Folders, busybox, and the modules of those names in a kernel's folder, in the order of /modules/order."""
    (program,) = (each for each in package("busybox-static").glob("**/bin/busybox") if each.is_file())
    folders = ("bin", "dev", "proc", "sys", "run", "etc", "tmp", "modules")
    found: Contents = dict.fromkeys(folders, (stat.S_IFDIR | 493, b""))
    found["bin/busybox"] = text(program)
    listed = subprocess.run([program, "--list"], capture_output=True, text=True, timeout=60, check=True).stdout
    found |= {f"bin/{name}": (stat.S_IFLNK | 0o777, b"busybox") for name in listed.split() if name != "busybox"}
    wanted = _with_needed(modules, names)
    found["modules/order"] = text("".join(f"{name}\n" for name in wanted))
    return found | {f"modules/{name}.ko": text(content) for name, content in wanted.items()}


def _with_needed(folder: Path, names: Iterable[str]) -> dict[str, bytes]:
    """Modules of those names as far as there are some, each after those that it needs."""
    files = {path.name.split(".")[0].replace("-", "_"): path for path in folder.glob("kernel/**/*.ko*")}
    found: dict[str, bytes] = {}
    for name in names:
        path = files.get(name)
        if path is not None and name not in found:
            content = lzma.decompress(path.read_bytes()) if path.suffix == ".xz" else path.read_bytes()
            needed = re.search(rb"\0depends=([^\0]*)\0", content)
            found |= (
                _with_needed(folder, needed[1].decode().replace("-", "_").split(",")) if needed and needed[1] else {}
            )
            found[name] = content
    return found


def archive(contents: Contents) -> bytes:
    """A cpio archive as the kernel unpacks it (newc, Documentation/driver-api/early-userspace/buffer-format.rst)."""
    parts = []
    for number, (path, (mode, content)) in enumerate([*contents.items(), ("TRAILER!!!", (0, b""))]):
        name = path.encode() + b"\0"
        fields = (number, mode, 0, 0, 1, 0, len(content), 0, 0, 0, 0, len(name), 0)
        head = b"070701" + b"".join(b"%08X" % field for field in fields) + name
        parts += [head, bytes(-len(head) % 4), content, bytes(-len(content) % 4)]
    return b"".join(parts)
