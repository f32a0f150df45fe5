"""An overlay: a qcow2 image that holds what a guest has written, over an image of the user's that is only read.

Several guests so start from one image, at once and without a copy, and it stays as it is. What they write is on disk,
below /var/lib/guestwire (of an ordinary user's lab below ~/.local/state), until the project is taken down: it can fill
a disk, and what is in /run would fill memory. It outlasts its QEMU, a reboot too.

An overlay is void where its image changes below it, so its file's name has a digest of that one's place, size and time,
and of those that lie under it.
The image is named in its header for people's tools; guestwire's QEMU is told what lies under it and opens no name.
"""

from __future__ import annotations

import contextlib
import glob
import hashlib
import os
import shlex
from dataclasses import dataclass
from typing import ClassVar

from guestwire.daemons import diskimage
from guestwire.errors import Problem
from guestwire.kinds.thing import Thing
from guestwire.linux.kernel import Kernel
from guestwire.linux.netlink import Socket
from guestwire.linux.programs import run_program
from guestwire.picture import Key, Value, fixed, passing

__all__ = ["Overlay", "overlay_file", "overlays"]

ROOTS = "/var/lib/guestwire"
MAKE = 10  # seconds that making one may take


def overlay_file(project: str, guest: str, *images: str) -> str:
    """Where the overlay of a guest over an image is, and over those under that, as they are now."""
    seen = [(image, os.stat(image)) for image in images]
    told = "".join(f"{image}\0{stat.st_size}\0{stat.st_mtime_ns}" for image, stat in seen)
    digest = hashlib.blake2b(told.encode(errors="surrogateescape"), digest_size=4).hexdigest()
    return f"{_root()}/{project}/{guest}.{digest}.qcow2"


def overlays(project: str) -> list[str]:
    """Where a project's overlays are, of whichever guests and images."""
    return sorted(glob.glob(f"{_root()}/{project}/*.qcow2"))


def _root() -> str:
    if os.access(os.path.dirname(ROOTS), os.W_OK):
        return ROOTS
    return f"{os.environ.get('XDG_STATE_HOME') or os.path.expanduser('~/.local/state')}/guestwire"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Overlay(Thing):
    """The image at `name` over the image `backing`, which is of that `format`; a disk of `size` bytes."""

    KIND: ClassVar[str] = "overlay"
    RANK: ClassVar[int] = 61
    NAMED: ClassVar[bool] = True

    backing: str | None = fixed()
    size: int | None = fixed()
    format: str | None = passing()

    @classmethod
    def read(cls, kernel: Kernel, key: Key) -> Overlay | None:
        found = diskimage.overlay(key.name)
        if found is None:
            return None
        owner = os.path.basename(os.path.dirname(key.name))
        return cls(netns=key.netns, name=key.name, owner=owner, backing=found[0], size=found[1])

    @property
    def final(self) -> bool:
        return True

    def lacks(self, sock: Socket) -> Problem | None:
        return self.without("qemu-img", "qemu-utils")

    def create(self, kernel: Kernel) -> None:
        kernel.flush()
        os.makedirs(os.path.dirname(self.name), mode=0o700, exist_ok=True)
        try:
            run_program(self._words(), MAKE)
        except OSError:
            self.delete(kernel)
            raise

    def change(self, kernel: Kernel, seen: Value) -> None:
        """An overlay over another image is another overlay."""

    def delete(self, kernel: Kernel) -> None:
        kernel.flush()
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.name)
        folder = os.path.dirname(self.name)
        for each in (folder, os.path.dirname(folder)):
            with contextlib.suppress(OSError):
                os.rmdir(each)

    def namespaces(self) -> tuple[str, ...]:
        return ()

    def _words(self) -> list[str]:
        # -u: the image that lies under it isn't opened, as nothing of a stranger's is by us.
        made = ["qemu-img", "create", "-q", "-u", "-f", "qcow2", "-b", str(self.backing), "-F", str(self.format)]
        return [*made, self.name, str(self.size)]

    def create_commands(self) -> list[str]:
        return [f"mkdir -p -m 700 {shlex.quote(os.path.dirname(self.name))}", shlex.join(self._words())]

    def change_commands(self, seen: Value) -> list[str]:
        return []

    def delete_commands(self) -> list[str]:
        return [f"rm -f {shlex.quote(self.name)}"]
