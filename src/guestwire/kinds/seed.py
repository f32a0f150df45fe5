"""A seed: the small disk image that tells cloud-init in a virtual machine who it is, who may log in, and its addresses.

It lies in the project's folder below /run, which is root's alone: what a user gives cloud-init may hold passwords. In
a picture it is known by a digest, and its content is shown to nobody. Its mark is in the image's own header, where
`blkid -p` and `file` show it.

It is changed in place, so the machine that has it open finds the new one in it at its next boot.
"""

from __future__ import annotations

import base64
import contextlib
import os
import shlex
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

from guestwire.daemons import cloudinit
from guestwire.kinds.thing import Thing
from guestwire.linux.kernel import Kernel
from guestwire.picture import Key, Secret, Value, passing, setting

__all__ = ["Seed"]

MARKED = ("guestwire", 3)  # the mark's first word, and how many it has


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Seed(Thing):
    """An image; `name` is its path, `content` the image itself.

    Of the files in it `shown` may be seen by anybody; `user_data` is where a shell has the one that may not.
    """

    KIND: ClassVar[str] = "seed"
    RANK: ClassVar[int] = 60
    NAMED: ClassVar[bool] = True

    digest: str | None = setting()
    content: Secret | None = passing()
    shown: tuple[tuple[str, str], ...] = passing(())
    user_data: str = passing("")

    @classmethod
    def read(cls, kernel: Kernel, key: Key) -> Seed | None:
        found = cloudinit.mark_of(key.name)
        if found is None:
            return None
        words = found.split()
        owner, digest = (words[1], words[2]) if (words[:1], len(words)) == ([MARKED[0]], MARKED[1]) else (None, "")
        content = Secret(lambda: _whole(key.name))
        return cls(netns=key.netns, name=key.name, owner=owner, digest=digest, content=content)

    def create(self, kernel: Kernel) -> None:
        assert self.content is not None
        kernel.flush()
        os.makedirs(os.path.dirname(self.name), mode=0o700, exist_ok=True)
        image = self.content.reveal()
        # Not written beside and renamed: a machine has this very file open.
        fd = os.open(self.name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        with open(fd, "wb") as file:
            file.write(image)
            file.flush()
            os.truncate(fd, len(image))  # what was behind it goes, and the hole is a hole again
            os.truncate(fd, max(len(image), cloudinit.ROOM))

    def change(self, kernel: Kernel, seen: Value) -> None:
        self.create(kernel)

    def delete(self, kernel: Kernel) -> None:
        kernel.flush()
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.name)

    def create_commands(self) -> list[str]:
        """With what may be shown; user-data comes from a file, the user's or one that the reader puts there."""
        folder = f"{self.name}.d"
        place, put = shlex.quote(self.name), shlex.quote(f"{folder}/user-data")
        mark = cloudinit.mark(self.owner or "", str(self.digest))
        made = ["genisoimage", "-quiet", "-volid", cloudinit.LABEL, "-appid", mark, "-joliet", "-rational-rock"]
        return [
            f"mkdir -p -m 700 {shlex.quote(folder)}",
            *(f"printf %s {shlex.quote(text)} > {shlex.quote(f'{folder}/{name}')}" for name, text in self.shown),
            f"cp {shlex.quote(self.user_data)} {put}" if self.user_data else f": > {put}",
            f"(umask 077; {shlex.join([*made, '-output', self.name, folder])})",
            f"truncate -s {cloudinit.ROOM} {place}",
            f"rm -r {shlex.quote(folder)}",
        ]

    def change_commands(self, seen: Value) -> list[str]:
        return self.create_commands()

    def delete_commands(self) -> list[str]:
        return [f"rm {shlex.quote(self.name)}"]

    def namespaces(self) -> tuple[str, ...]:
        return ()

    def to_json(self) -> dict[str, Any]:
        whole = super(Seed, self).to_json()
        if self.content is not None:
            whole["content"] = base64.b64encode(self.content.reveal()).decode()
        return whole

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Self:
        made = super(Seed, cls).from_json({**data, "content": None})
        kept = data.get("content")
        return replace(made, content=Secret(lambda: base64.b64decode(kept))) if kept else made


def _whole(path: str) -> bytes:
    """The image without the hole behind it."""
    with open(path, "rb") as file:
        return file.read().rstrip(b"\0")
