"""A lab comes up, does what its file says, and goes without a trace."""

from __future__ import annotations

from tests.sandbox import Sandbox

FILE = """
name: three
networks:
  lan: {type: bridge, uplink: eth0}
  private: {type: bridge, subnet: [10.77.0.0/24, "fd00:77::/64"]}
  direct: {type: macvtap, uplink: eth1, mode: bridge, host-access: true}
guests:
  web: {nics: [lan], dns: [192.0.2.1]}
  db: {nics: [private, direct]}
  many: {count: 3, nics: [direct]}
"""


def test_up_again_does_nothing_and_down_leaves_nothing(sandbox: Sandbox) -> None:
    sandbox.write(FILE)
    before = sandbox.snapshot()
    assert sandbox.json("up", "--lab")["changes"]
    assert sandbox.json("up", "--lab")["changes"] == []
    assert sandbox.json("status")["drift"] == []
    sandbox.guestwire("down")
    assert sandbox.snapshot() == before
