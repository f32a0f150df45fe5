"""What the tests of the kernel's side share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.rootless.ordinary import Ordinary
from tests.rootless.place import ordinary_user


@pytest.fixture
def user() -> Iterator[Ordinary]:
    yield from ordinary_user()
