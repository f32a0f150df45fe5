"""Throw-away namespaces for the drawings of real links; after each test nothing of them remains."""

from __future__ import annotations

import subprocess
import uuid
from collections.abc import Iterator

import pytest

from guestwire.linux import namespaces


@pytest.fixture
def spare() -> Iterator[tuple[str, str]]:
    """Two new namespaces: a host, which has an eth0, and what that is plugged into."""
    name = f"gw-draw-{uuid.uuid4().hex[:8]}"
    host, outside = name, f"{name}-out"
    try:
        for netns in (host, outside):
            done = subprocess.run(["ip", "netns", "add", netns], capture_output=True, text=True, check=False)
            if done.returncode:
                pytest.skip(f"no namespaces here: {done.stderr.strip()}")
        shell(outside, f"ip link add port type veth peer name eth0 netns {host}; ip link set port up")
        shell(host, "ip link set eth0 up")
        yield host, outside
    finally:
        for netns in (host, outside):
            subprocess.run(["ip", "netns", "delete", netns], capture_output=True, check=False)
    assert not [left for left in namespaces.names() if left.startswith(name)]


def shell(netns: str, script: str) -> None:
    """Run a script in a namespace; a command that fails fails the test."""
    done = subprocess.run(
        ["ip", "netns", "exec", netns, "sh", "-exc", script], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
