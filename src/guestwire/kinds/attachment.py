"""A name for a network namespace that somebody else keeps, a running container's say, so that `ip netns` finds it.

The name is a symbolic link (linux/signposts.py): it leads into the namespace while its process runs, and keeps nothing
alive. So when the container ends, its namespace ends, and our NIC in it, as if the name weren't there. In the namespace
itself nothing is marked: only links, addresses and routes of ours are. Whose the name is says the folder that it leads
by, /run/guestwire/PROJECT. Containers that are restarted have another process: the name is pointed at that.

`ip netns exec NAME` follows it. When its process has ended, and its number has come again, that would lead to the
other's namespace; guestwire sees the difference, iproute2 doesn't.
"""

from __future__ import annotations

import errno
import os
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from guestwire.kinds.thing import Thing
from guestwire.linux import namespaces, signposts
from guestwire.linux.kernel import Kernel
from guestwire.linux.processes import Process
from guestwire.picture import Value, setting
from guestwire.places import RUN

__all__ = ["Attachment"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Attachment(Thing):
    """A name, `netns` and `name` alike, for the namespace in the file `target`; that of `process`, if any."""

    KIND: ClassVar[str] = "attachment"
    RANK: ClassVar[int] = 0

    target: str | None = setting()
    process: Process | None = setting()

    @classmethod
    def named(cls, name: str) -> Attachment | None:
        """What a name under /run/netns leads to, where it is one of guestwire's making."""
        found = signposts.read(namespaces.path(name))
        folder, _, _ = found.place.rpartition("/") if found else ("", "", "")
        if found is None or os.path.dirname(folder) != RUN:
            return None
        owner = os.path.basename(folder)
        return cls(netns=name, name=name, owner=owner, target=found.target, process=found.process)

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Self:
        process = data.get("process")
        return super(Attachment, cls).from_json({**data, "process": process and Process(*process)})

    @property
    def pid(self) -> int:
        """The process whose end is its own, 0 where there is none."""
        return self.process.pid if self.process else 0

    def can_return(self) -> bool:
        return self.process.lives if self.process else os.path.exists(self.target or "")

    @property
    def _before(self) -> str:
        return f"{RUN}/{self.owner}/{self.name.removeprefix(f'{self.owner}-')}"

    def create(self, kernel: Kernel) -> None:
        kernel.flush()
        assert self.target is not None
        namespaces.prepare()
        signposts.put(namespaces.path(self.name), self._before, self.target, self.process)
        if not kernel.is_led(self.netns):  # else that was found before, and is held: it may have ended meanwhile
            kernel.lead(self.netns, self.target)

    def change(self, kernel: Kernel, seen: Value) -> None:
        self.create(kernel)

    def delete(self, kernel: Kernel) -> None:
        kernel.flush()
        signposts.remove(namespaces.path(self.name))

    def why_refused(self, number: int) -> str | None:
        return "Its container has ended: start it, and try again." if number == errno.ENOENT else None

    def create_commands(self) -> list[str]:
        place = signposts.place_of(self._before, self.process)
        path = namespaces.path(self.name)
        folders = f"mkdir -p {os.path.dirname(path)} {os.path.dirname(place)}"
        return [folders, f"ln -sfn {self.target} {place}", f"ln -sfn {place} {path}"]

    def change_commands(self, seen: Value) -> list[str]:
        return self.create_commands()

    def delete_commands(self) -> list[str]:
        return [f"rm {namespaces.path(self.name)} {self._before}@*"]

    def namespaces(self) -> tuple[str, ...]:
        return ()
