"""What the tests of this folder share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.sandbox import Sandbox, sandboxed


@pytest.fixture
def second(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    """Another machine beside `sandbox`, with a folder of its own."""
    folder: Path = tmp_path_factory.mktemp("second")
    with sandboxed(folder) as machine:
        yield machine
