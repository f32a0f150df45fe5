"""An nftables table of our own, replaced as a whole: whoever else filters here has tables of their own.

Its comment holds our mark and a digest of the rules, so that a table with other rules is known without reading them
back.
"""

from __future__ import annotations

import hashlib
import re
import shlex
from dataclasses import dataclass
from typing import ClassVar

from guestwire.errors import Problem
from guestwire.kinds.thing import Thing
from guestwire.linux import nftables
from guestwire.linux.kernel import Kernel
from guestwire.linux.netlink import Socket
from guestwire.picture import Key, Value, setting

__all__ = ["Nft"]

_COMMENT = re.compile(r'comment "guestwire:([^:"]*):([0-9a-f]+)"')


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Nft(Thing):
    """A table; `name` is "FAMILY NAME", `rules` the text between its braces, `digest` that text's."""

    KIND: ClassVar[str] = "nft"
    RANK: ClassVar[int] = 23  # before forwarding is turned on, which it guards
    NAMED: ClassVar[bool] = True

    digest: str | None = setting()
    rules: str | None = None

    @classmethod
    def table(cls, netns: str, name: str, rules: str, owner: str) -> Nft:
        """A table with its rules."""
        digest = hashlib.blake2b(rules.encode(), digest_size=6).hexdigest()
        return cls(netns=netns, name=name, owner=owner, digest=digest, rules=rules)

    @classmethod
    def read(cls, kernel: Kernel, key: Key) -> Nft | None:
        listing = kernel.call(key.netns, lambda: nftables.list_table(key.name))
        if listing is None:
            return None
        found = _COMMENT.search(listing)
        owner, digest = found.groups() if found else (None, None)
        inner = listing.partition("{")[2].rpartition("}")[0]
        return cls(netns=key.netns, name=key.name, owner=owner, digest=digest, rules=_COMMENT.sub("", inner, count=1))

    def lacks(self, sock: Socket) -> Problem | None:
        return self.without("nft", "nftables")

    def _new(self) -> str:
        """The script that makes it, and is refused whole where somebody has a table of that name."""
        mark = f'comment "guestwire:{self.owner}:{self.digest}"\n' if self.owner else ""
        # Of what stands in the braces of `create` nft 1.0 takes the comment alone.
        return f"create table {self.name} {{\n{mark}}}\ntable {self.name} {{\n{self.rules}\n}}\n"

    def _anew(self) -> str:
        return f"delete table {self.name}\n{self._new()}"

    def create(self, kernel: Kernel) -> None:
        kernel.call(self.netns, lambda: nftables.apply_script(self._new()))

    def change(self, kernel: Kernel, seen: Value) -> None:
        kernel.call(self.netns, lambda: nftables.apply_script(self._anew()))

    def delete(self, kernel: Kernel) -> None:
        kernel.call(self.netns, lambda: nftables.apply_script(f"delete table {self.name}\n"))

    def _command(self, script: str) -> list[str]:
        where = f"ip netns exec {self.netns} " if self.netns else ""
        return [f"printf %s {shlex.quote(script)} | {where}nft -f -"]

    def create_commands(self) -> list[str]:
        return self._command(self._new())

    def change_commands(self, seen: Value) -> list[str]:
        return self._command(self._anew())

    def delete_commands(self) -> list[str]:
        return self._command(f"delete table {self.name}\n")
