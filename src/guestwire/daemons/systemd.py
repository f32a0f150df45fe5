"""systemd: where it keeps units, how they are written, and systemctl (systemd.unit(5), systemd.service(5))."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence

from guestwire.linux.programs import run_program

__all__ = ["FOLDER", "VENDORS", "control", "quote", "runs"]

FOLDER = "/etc/systemd/system"
VENDORS = ("/run/systemd/system", "/usr/local/lib/systemd/system", "/usr/lib/systemd/system", "/lib/systemd/system")
"""Where others keep units; of one name, that in FOLDER counts."""
SECONDS = 90
_PLAIN = re.compile(r"[\w@+=:,./-]+", re.ASCII)


def runs() -> bool:
    """Whether systemd is this machine's init (sd_booted(3))."""
    return os.path.isdir("/run/systemd/system")


def control(*words: str) -> None:
    """Run systemctl. Raises OSError in its own words."""
    run_program(("systemctl", *words), SECONDS)


def quote(words: Sequence[str]) -> str:
    """A command line for a unit, in which `%`, `$`, quotes and blanks stand for themselves."""
    return " ".join(_quoted(word) for word in words)


def _quoted(word: str) -> str:
    word = word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%").replace("$", "$$").replace("\n", "\\n")
    return word if _PLAIN.fullmatch(word) else f'"{word}"'
