"""VLANs on a bridge: a trunk's guest, drift and its repair, and nothing left where guestwire is broken off."""

from __future__ import annotations

import json
from dataclasses import asdict

import pytest

from tests.sandbox import Sandbox
from tests.world.faults import Done, Job
from tests.world.watching import watching

FILE = """\
name: tags
networks:
  lan: {type: bridge, uplink: eth0, vlans: true}
guests:
  red: {nics: [{network: lan, vlan: 10, address: 10.10.0.1/24}]}
  trunk: {nics: [{network: lan, vlans: [10, 30-40], address: 10.10.0.4/24}]}
"""
TRUNK = """ip -n tags-trunk link add link eth0 name red type vlan id 10
    ip -n tags-trunk address add 10.10.1.4/24 dev red
    ip -n tags-trunk link set red up
    ip -n tags-red address add 10.10.1.1/24 dev eth0
    ip netns exec tags-trunk ping -c 1 -w 5 10.10.1.1
    ip -n tags-trunk link delete red
    ip -n tags-red address delete 10.10.1.1/24 dev eth0"""
FEW = 3


@pytest.mark.timeout(400)
def test_a_trunk_reaches_its_vlans_and_what_is_otherwise_is_repaired(sandbox: Sandbox) -> None:
    sandbox.write(FILE)
    sandbox.guestwire("up", "--lab")
    sandbox.sh(TRUNK)
    with watching(sandbox) as watch:
        watch.breaks("bridge -n tags-host vlan del dev tags-red.0 vid 10", "vlans: none → 10")
        watch.breaks("bridge -n tags-host vlan add dev tags-lan vid 77 self", "vlans: 1, 77 tagged → 1")
        watch.breaks("ip -n tags-host link set tags-lan type bridge vlan_filtering 0", "vlan_filtering: no → yes")
        watch.breaks("ip -n tags-host link set tags-trunk.0 nomaster", "master: none → tags-lan")
        watch.breaks("ip -n tags-host link delete tags-lan", "bridge tags-lan in namespace tags-host was gone")
    assert sandbox.json("plan")["changes"] == []


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_nothing_is_left_where_it_is_broken_off(sandbox: Sandbox) -> None:
    file = str(sandbox.write(FILE, "0.yaml"))
    changed = str(sandbox.write(FILE.replace("vlan: 10", "vlan: 30").replace("30-40", "20-25, 30"), "1.yaml"))
    shared = "name: one\nnetworks: {net: {type: ipvlan, uplink: eth0%s}}\nguests: {web: {nics: [net]}}\n"
    one = str(sandbox.write(shared % "", "2.yaml"))
    other = str(sandbox.write(shared % ", flag: vepa", "3.yaml"))
    ways = ("kill", "EBUSY")
    jobs = [Job("up", True, changed, file, FEW, "tags", ways), Job("up", True, other, one, FEW, "one", ways)]
    words = json.dumps([asdict(job) for job in jobs])
    said = sandbox.python("from tests.world.faults import main; main()", words, seconds=300).stdout
    done = Done(**json.loads(said))
    assert done.wrong == []
    assert done.injections == 2 * FEW
