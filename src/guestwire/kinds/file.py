"""A small file that guestwire writes, such as a guest's resolv.conf; its first line is our mark.

One that ends in .hosts or .names is read by a daemon whose pid lies beside it under the same name: when the file is
changed the daemon is told by SIGHUP, and reads it again.

`ip netns exec NAME` binds each file under /etc/netns/NAME/ over its namesake in /etc (ip-netns(8)), and so do we.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shlex
from dataclasses import dataclass
from typing import ClassVar, TextIO

from guestwire.kinds.pidfile import hang_up
from guestwire.kinds.thing import Thing
from guestwire.linux.kernel import Kernel
from guestwire.picture import Key, Value, setting

__all__ = ["File"]

MARK = "# guestwire: "
TRIES = 100
READ_AGAIN = ("hosts", "names")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class File(Thing):
    """A file; `name` is its path, `content` what follows the line with the mark."""

    KIND: ClassVar[str] = "file"
    RANK: ClassVar[int] = 3
    NAMED: ClassVar[bool] = True

    content: str | None = setting()

    @classmethod
    def read(cls, kernel: Kernel, key: Key) -> File | None:
        try:
            with open(key.name, errors="surrogateescape", newline="") as file:  # a stranger's is in no encoding of ours
                whole = file.read()
        except (FileNotFoundError, NotADirectoryError):
            return None
        first, _, rest = whole.partition("\n")
        if not first.startswith(MARK):
            return cls(netns=key.netns, name=key.name, content=whole)
        return cls(netns=key.netns, name=key.name, owner=first.removeprefix(MARK), content=rest)

    def _whole(self) -> str:
        return f"{MARK}{self.owner}\n{self.content}" if self.owner else self.content or ""

    def create(self, kernel: Kernel) -> None:
        temporary = f"{self.name}.guestwire"
        with self._opened(temporary) as file:
            file.write(self._whole())
        os.rename(temporary, self.name)
        if self._reader:
            hang_up(self._reader)

    @property
    def _reader(self) -> str | None:
        """The pid file of the daemon that reads it."""
        stem, _, end = self.name.rpartition(".")
        return f"{stem}.pid" if end in READ_AGAIN else None

    def _opened(self, path: str) -> TextIO:
        for _ in range(TRIES):
            with contextlib.suppress(FileNotFoundError):  # another project has just tidied the folder away
                os.makedirs(os.path.dirname(path), mode=0o755, exist_ok=True)
                return open(path, "w", errors="surrogateescape", newline="")
        raise OSError(errno.EAGAIN, "its folder keeps vanishing", path)

    def change(self, kernel: Kernel, seen: Value) -> None:
        self.create(kernel)

    def delete(self, kernel: Kernel) -> None:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.name)
        folder = os.path.dirname(self.name)
        with contextlib.suppress(OSError):  # it may hold what is not ours; then it stays
            os.rmdir(folder)
            # Where the one above is still full that takes an overlay its whole length to find out: once will do.
            kernel.at_last(os.path.dirname(folder), _remove_empty)

    def create_commands(self) -> list[str]:
        folder, name = shlex.quote(os.path.dirname(self.name)), shlex.quote(self.name)
        return [f"mkdir -p {folder}", f"printf %s {shlex.quote(self._whole())} > {name}"]

    def change_commands(self, seen: Value) -> list[str]:
        told = [f"kill -HUP $(cat {shlex.quote(self._reader)})"] if self._reader else []
        return self.create_commands() + told

    def delete_commands(self) -> list[str]:
        return [f"rm {shlex.quote(self.name)}"]

    def namespaces(self) -> tuple[str, ...]:
        return ()


def _remove_empty(folder: str) -> None:
    """Remove a folder, and those above it, as far as nothing is in them."""
    with contextlib.suppress(OSError):
        os.removedirs(folder)
