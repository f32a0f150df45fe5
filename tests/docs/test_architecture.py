"""The architecture page names what is there, on the floor where it is."""

from __future__ import annotations

import re
from pathlib import Path

from tests.conventions.test_imports import FLOOR

PAGE = "docs/architecture.md"


def test_floors_are_those_of_the_imports(root: Path) -> None:
    text = (root / PAGE).read_text(encoding="utf-8")
    rows = re.findall(r"^\| (\d+) \| (.*?) \|", text, re.M)
    said = {part.rstrip("/"): int(floor) for floor, parts in rows for part in re.findall(r"`(\w+/?)`", parts)}
    here = {path.stem for path in (root / "src" / "guestwire").iterdir() if path.name[0] not in "_."} - {"py"}
    code = set(here & FLOOR.keys())
    assert said == {part: FLOOR[part] for part in code}


def test_files_that_it_names_are_there(root: Path) -> None:
    text = (root / PAGE).read_text(encoding="utf-8")
    for name in re.findall(r"`([a-z_/]+\.py)`", text):
        assert (root / name).exists() or (root / "src" / "guestwire" / name).exists(), name
