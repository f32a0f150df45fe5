"""guestwire broken off with virtual machines in its hands: nothing of them is left, or all is as it was."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.sandbox import Sandbox
from tests.world.consoles import idle
from tests.world.faults import Done, Job
from tests.world.test_faults import FEW

BASE = """
name: three
networks:
  net: {type: bridge, subnet: 10.77.0.0/24}
  direct: {type: macvtap, uplink: eth0}
guests:
  a: {kind: qemu, image: disk, memory: 16M, nics: [net, direct]}
  b: {kind: qemu, image: disk, memory: 16M, nics: [net]}
  c: {nics: [net]}
"""
CHANGED = """
name: three
networks:
  net: {type: bridge, subnet: 10.77.0.0/24}
  direct: {type: macvtap, uplink: eth0}
guests:
  a: {kind: qemu, image: disk, memory: 16M, nics: [{network: net, link: down}, direct]}
  b: {kind: qemu, image: disk, memory: 32M, nics: [net]}
  d: {kind: qemu, image: other, memory: 16M, write: true, nics: [direct]}
"""


@pytest.mark.parametrize("verb", ["up", "change", "down"])
def test_a_change_of_machines_broken_off_is_undone(sandbox: Sandbox, strike: Callable[..., Done], verb: str) -> None:
    for name in ("disk", "other"):
        idle(sandbox.folder / name)
    base, changed = (str(sandbox.write(text, name)) for text, name in ((BASE, "base"), (CHANGED, "changed")))
    most = FEW and FEW * 4
    jobs = {
        "up": Job("up", True, base, most=most),
        "change": Job("up", True, changed, base, most=most),
        "down": Job("down", True, base, base, most=most),
    }
    strike(jobs[verb])
