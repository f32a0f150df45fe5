"""systemd: where it keeps units, and how commands are written in them (systemd.unit(5), systemd.service(5))."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence

__all__ = ["FOLDER", "VENDORS", "quote", "runs"]

FOLDER = "/etc/systemd/system"
VENDORS = ("/run/systemd/system", "/usr/local/lib/systemd/system", "/usr/lib/systemd/system", "/lib/systemd/system")
"""Where others keep units; of one name, that in FOLDER counts."""
_PLAIN = re.compile(r"[\w@+=:,./-]+", re.ASCII)


def runs() -> bool:
    """Whether systemd is this machine's init (sd_booted(3))."""
    return os.path.isdir("/run/systemd/system")


def quote(words: Sequence[str]) -> str:
    """A command line for a unit, in which `%`, `$`, quotes and blanks stand for themselves."""
    return " ".join(_quoted(word) for word in words)


def _quoted(word: str) -> str:
    word = word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%").replace("$", "$$").replace("\n", "\\n")
    return word if _PLAIN.fullmatch(word) else f'"{word}"'
