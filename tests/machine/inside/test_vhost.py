"""vhost: a machine's frames are carried by the kernel where it has vhost-net, and not where that isn't wanted."""

from __future__ import annotations

import pytest

from tests.sandbox import Sandbox
from tests.world.consoles import idle, machine
from tests.world.test_replay import assert_same, replay

FILE = """
name: lab
networks:
  lan: {type: bridge, subnet: 10.77.0.0/24}
  direct: {type: macvtap, uplink: eth0}
guests:
  g:
    kind: qemu
    image: disk
    memory: 16M
    nics:
      - lan
      - {network: lan, vhost: false}
      - {network: direct, vhost: true, queues: 2}
      - {network: lan, model: e1000}
"""

BOOTED = f"""
name: lab
networks:
  with: {{type: bridge, subnet: 10.77.0.0/24}}
  without: {{type: bridge, subnet: 10.78.0.0/24}}
  direct: {{type: macvtap, uplink: eth0}}
guests:
  g: {
    machine(
        "[{network: with, vhost: true}, {network: without, vhost: false}, {network: direct, vhost: true}]",
        *("nic=eth0,10.77.0.9/24", "nic=eth1,10.78.0.9/24", "nic=eth2,192.0.2.99/24"),
    )
}
"""


def test_vhost_where_the_kernel_has_it(sandbox: Sandbox) -> None:
    before = sandbox.snapshot()
    idle(sandbox.folder / "disk")
    sandbox.write(FILE)
    sandbox.guestwire("up", "--lab")
    (guest,) = sandbox.json("status")["guests"]
    assert [(nic["vhost"], nic["why"]) for nic in guest["nics"]] == [
        (True, None),
        (False, "vhost: false"),
        (True, None),
        (False, "e1000 can't have it"),
    ]
    assert _opened(sandbox) == 3, "one for each queue that has it"
    sandbox.write(FILE.replace("      - lan\n", "      - {network: lan, vhost: true}\n"))
    assert sandbox.json("plan")["changes"] == [], "what is demanded is there"
    sandbox.guestwire("down")
    assert sandbox.snapshot() == before


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_frames_go_with_it_and_without_it(sandbox: Sandbox) -> None:
    """A machine within the emulated one takes minutes to boot."""
    sandbox.write(BOOTED)
    sandbox.guestwire("up", "--lab")
    assert sandbox.answers("10.77.0.9", "lab-host", seconds=900)
    assert sandbox.answers("10.78.0.9", "lab-host")
    assert sandbox.answers("192.0.2.99", "lab-lan")
    (guest,) = sandbox.json("status")["guests"]
    assert [nic["vhost"] for nic in guest["nics"]] == [True, False, True]
    sandbox.guestwire("down")


@pytest.mark.slow
def test_vhost_by_the_commands_of_a_plan(sandbox: Sandbox, second: Sandbox) -> None:
    idle(sandbox.folder / "disk")
    sandbox.write(FILE)
    replay(second, sandbox.guestwire("plan", "--lab", "--commands").stdout)
    sandbox.guestwire("up", "--lab")
    assert_same(sandbox, second)
    assert _opened(sandbox) == _opened(second) == 3


def _opened(sandbox: Sandbox) -> int:
    """How often the machine's QEMU has vhost open."""
    told = sandbox.sh("ls -l /proc/$(cat /run/guestwire/lab/g.vm/pid)/fd | grep -c /dev/vhost-net || true")
    return int(told)
