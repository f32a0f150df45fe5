"""A libvirtd for one test, whose domains are off; and one for many, with domains that run."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import pytest

from tests.libvirt.daemon import Libvirtd
from tests.sandbox import Sandbox


@pytest.fixture
def libvirtd(sandbox: Sandbox) -> Iterator[Libvirtd]:
    """A libvirtd without domains."""
    with closing(Libvirtd(sandbox)) as found:
        yield found
