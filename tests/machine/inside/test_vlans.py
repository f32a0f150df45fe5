"""VLANs on a bridge: who reaches whom by their ports' VLANs, drift and its repair, foreign bridges, and no trace."""

from __future__ import annotations

from typing import Any

from tests.sandbox import Sandbox
from tests.world.watching import watching

FILE = """\
name: tags
networks:
  lan: {type: bridge, uplink: eth0, vlans: true}
guests:
  plain: {nics: [lan]}
  red-1: {nics: [{network: lan, vlan: 10, address: 10.10.0.1/24}]}
  red-2: {nics: [{network: lan, vlan: 10, address: 10.10.0.2/24}]}
  blue:  {nics: [{network: lan, vlan: 20, address: 10.10.0.3/24}]}
  trunk: {nics: [{network: lan, vlan: 20, vlans: [10, 30-40], address: 10.10.0.4/24}]}
"""
TRUNK = """ip -n tags-trunk link add link eth0 name red type vlan id 10
    ip -n tags-trunk address add 10.10.1.4/24 dev red
    ip -n tags-trunk link set red up
    ip -n tags-red-1 address add 10.10.1.1/24 dev eth0
    ip netns exec tags-trunk ping -c 1 -w 5 10.10.1.1"""


def reached(checked: dict[str, Any]) -> set[tuple[str, str]]:
    return {(pair["from"], pair["to"]) for pair in checked["pairs"] if pair["measured"]}


def test_ports_reach_those_of_their_vlan(sandbox: Sandbox) -> None:
    before = sandbox.snapshot()
    sandbox.write(FILE)
    assert sandbox.json("up", "--lab")["changes"]
    assert sandbox.json("plan")["changes"] == []
    found = reached(sandbox.json("check"))
    assert {("red-1", "red-2"), ("blue", "trunk"), ("plain", "lan"), ("plain", "host"), ("plain", "gateway")} <= found
    assert not found & {("red-1", "blue"), ("red-1", "trunk"), ("blue", "red-2"), ("plain", "red-1"), ("red-1", "lan")}
    sandbox.sh(TRUNK)
    on_blue = "bridge -n tags-host vlan"
    sandbox.sh(f"{on_blue} del dev tags-blue.0 vid 20; {on_blue} add dev tags-blue.0 vid 9")
    (drift,) = sandbox.json("status")["drift"]
    assert "blue" in str(drift)
    with watching(sandbox) as watch:
        watch.breaks("bridge -n tags-host vlan del dev tags-red-1.0 vid 10", "vlans: none → 10")
        watch.breaks("bridge -n tags-host vlan add dev tags-lan vid 77 self", "vlans: 1, 77 tagged → 1")
        watch.breaks("ip -n tags-host link set tags-lan type bridge vlan_filtering 0", "vlan_filtering")
    assert sandbox.json("plan")["changes"] == []
    sandbox.guestwire("down")
    assert sandbox.snapshot() == before
