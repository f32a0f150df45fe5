"""The examples: those that run here, and those that need what this machine's kernel lacks (tests/machine/)."""

from __future__ import annotations

import os
import re
from pathlib import Path

__all__ = ["ELSEWHERE", "EXAMPLES", "FOLDER"]

FOLDER = Path(__file__).resolve().parents[1] / "examples"
_ALL = sorted(FOLDER.glob("*.yaml"))
_ASKS = re.compile(r"vlans: true|type: ipvlan")

ELSEWHERE = [path for path in _ALL if _ASKS.search(path.read_text(encoding="utf-8"))]
"""Those that run in the other host."""

EXAMPLES = _ALL if os.environ.get("GUESTWIRE_MACHINE") else [path for path in _ALL if path not in ELSEWHERE]
