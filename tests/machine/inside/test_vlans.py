"""VLANs on a bridge: tags on the wire, a trunk's guest, a bridge that isn't ours, drift repaired, no leftovers."""

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
    until ip netns exec tags-trunk ping -c 1 -W 1 10.10.1.1; do :; done
    ip -n tags-trunk link delete red
    ip -n tags-red address delete 10.10.1.1/24 dev eth0"""
BLUE = "  blue: {nics: [{network: lan, vlan: 20, address: 10.10.0.2/24}]}\n"
FEW = 3
TRUNK_PORT = """ip netns add ten
    ip netns add twenty
    ip {lan} link add link {link} name red netns ten type vlan id 10
    ip {lan} link add link {link} name blue netns twenty type vlan id 20
    ip -n ten address add 10.10.0.9/24 dev red
    ip -n twenty address add 10.10.0.8/24 dev blue
    ip -n ten link set red up
    ip -n twenty link set blue up"""
"""What is on the other end of a cable that carries VLANs 10 and 20, both with their tags."""
FOREIGN = """ip link add br0 type bridge vlan_filtering {filtering} vlan_default_pvid 0
    ip link set br0 up
    ip link add eth0 type veth peer name far
    ip link set far up
    ip link set eth0 master br0 up
    bridge vlan add dev eth0 vid 10
    bridge vlan add dev eth0 vid 20"""
ON_FOREIGN = """\
name: tags
networks:
  lan: {type: bridge, uplink: br0, vlans: true}
guests:
  red: {nics: [{network: lan, vlan: 10, address: 10.10.0.1/24}]}
  blue: {nics: [{network: lan, vlan: 20, address: 10.10.0.2/24}]}
"""


def _tags_lead_to_their_vlans(sandbox: Sandbox) -> None:
    """On the cable's other end there are two namespaces with addresses of one subnet, told apart by the tag alone."""
    for guest, own, other in (("red", "10.10.0.9", "10.10.0.8"), ("blue", "10.10.0.8", "10.10.0.9")):
        assert sandbox.answers(own, f"tags-{guest}"), guest
        assert not sandbox.answers(other, f"tags-{guest}", seconds=2), guest


@pytest.mark.timeout(400)
def test_a_trunk_reaches_its_vlans_and_what_is_otherwise_is_repaired(sandbox: Sandbox) -> None:
    sandbox.write(FILE + BLUE)
    sandbox.guestwire("up", "--lab")
    sandbox.sh(TRUNK)
    sandbox.sh(TRUNK_PORT.format(lan="-n tags-lan", link="eth0"))
    _tags_lead_to_their_vlans(sandbox)
    with watching(sandbox) as watch:
        watch.breaks("bridge -n tags-host vlan del dev tags-red.0 vid 10", "vlans: none → 10")
        watch.breaks("bridge -n tags-host vlan add dev tags-lan vid 77 self", "vlans: 1, 77 tagged → 1")
        watch.breaks("ip -n tags-host link set tags-lan type bridge vlan_filtering 0", "vlan_filtering: no → yes")
        watch.breaks("ip -n tags-host link set tags-trunk.0 nomaster", "master: none → tags-lan")
        watch.breaks("ip -n tags-host link delete tags-lan", "bridge tags-lan in namespace tags-host was gone")
    assert sandbox.json("plan")["changes"] == []


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_a_bridge_that_is_there_keeps_its_vlans_and_takes_those_of_guests(sandbox: Sandbox) -> None:
    sandbox.sh(FOREIGN.format(filtering=0))
    sandbox.write(ON_FOREIGN)
    told = sandbox.guestwire("up", check=False).stderr
    assert "bridge br0 tells no VLANs apart (vlan_filtering is off)" in told
    sandbox.sh("ip link set br0 type bridge vlan_filtering 1")
    sandbox.sh(TRUNK_PORT.format(lan="", link="far"))
    vlans = sandbox.sh("bridge vlan show")
    before = sandbox.snapshot()
    sandbox.guestwire("up")
    _tags_lead_to_their_vlans(sandbox)
    assert sandbox.json("plan")["changes"] == []
    sandbox.guestwire("down")
    assert sandbox.snapshot() == before
    assert sandbox.sh("bridge vlan show") == vlans


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
