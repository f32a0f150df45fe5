"""The machine of these tests: its folder, and so a file's project without a name, is called `t`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.sandbox import Sandbox, sandboxed


@pytest.fixture
def sandbox(tmp_path: Path) -> Iterator[Sandbox]:
    folder = tmp_path / "t"
    folder.mkdir()
    with sandboxed(folder) as machine:
        yield machine
