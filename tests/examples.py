"""The examples: those that run here, and those that need what this machine's kernel lacks (tests/machine/)."""

from __future__ import annotations

import contextlib
import os
import re
from pathlib import Path

__all__ = ["ELSEWHERE", "EXAMPLES", "FOLDER", "IMAGE", "furnish"]

FOLDER = Path(__file__).resolve().parents[1] / "examples"
_ALL = sorted(FOLDER.glob("*.yaml"))
_ASKS = re.compile(r"vlans: true|type: ipvlan")

ELSEWHERE = [path for path in _ALL if _ASKS.search(path.read_text(encoding="utf-8"))]
"""Those that run in the other host."""

EXAMPLES = _ALL if os.environ.get("GUESTWIRE_MACHINE") else [path for path in _ALL if path not in ELSEWHERE]

IMAGE = FOLDER / "guest.qcow2"
"""The image of the examples' virtual machines, which people have of their own: here it is that of the tests."""


def furnish(path: Path) -> bool:
    """Have the image there that an example names; whether it names it."""
    named = IMAGE.name in path.read_text(encoding="utf-8")
    if named and not IMAGE.exists():
        from tests.machine.guest import disk

        with contextlib.suppress(FileExistsError):
            IMAGE.symlink_to(disk("qcow2"))
    return named
