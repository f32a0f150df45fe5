"""A sysctl of a namespace: a kernel setting, read and written as a file under /proc/sys.

Which files there are differs: a namespace other than the first lacks half of `net.*`, which is of the whole machine.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from guestwire.kinds.thing import Thing
from guestwire.linux.kernel import Kernel
from guestwire.picture import Key, Value, setting

__all__ = ["Sysctl"]

FOLDER = "/proc/sys"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sysctl(Thing):
    """A setting; `name` is its path below /proc/sys. It can't be deleted, only given another value."""

    KIND: ClassVar[str] = "sysctl"
    RANK: ClassVar[int] = 5
    NAMED: ClassVar[bool] = True
    MARKED: ClassVar[bool] = False

    content: str | None = setting()

    @classmethod
    def read(cls, kernel: Kernel, key: Key) -> Sysctl | None:
        def contents() -> str | None:
            try:
                with open(f"{FOLDER}/{key.name}") as file:
                    return file.read().strip()
            except FileNotFoundError:
                return None

        content = kernel.call(key.netns, contents)
        return None if content is None else cls(netns=key.netns, name=key.name, content=content)

    def create(self, kernel: Kernel) -> None:
        def write() -> None:
            with open(f"{FOLDER}/{self.name}", "w") as file:
                file.write(f"{self.content}\n")

        kernel.call(self.netns, write)

    def change(self, kernel: Kernel, seen: Value) -> None:
        self.create(kernel)

    def delete(self, kernel: Kernel) -> None:
        """A sysctl stays; its namespace takes it along."""

    def create_commands(self) -> list[str]:
        where = f"ip netns exec {self.netns} " if self.netns else ""
        return [f"{where}sysctl -qw {self.name}={self.content}"]

    def change_commands(self, seen: Value) -> list[str]:
        return self.create_commands()

    def delete_commands(self) -> list[str]:
        return []
