"""vhost: a machine's frames are carried by the kernel where it has vhost-net, and not where that isn't wanted."""

from __future__ import annotations

from tests.sandbox import Sandbox
from tests.world.consoles import idle

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
    opened = sandbox.sh(f"ls -l /proc/{guest['machine']['pid']}/fd | grep -c /dev/vhost-net || true")
    assert int(opened) == 3, "one for each queue that has it"
    sandbox.write(FILE.replace("      - lan\n", "      - {network: lan, vhost: true}\n"))
    assert sandbox.json("plan")["changes"] == [], "what is demanded is there"
    sandbox.guestwire("down")
    assert sandbox.snapshot() == before
