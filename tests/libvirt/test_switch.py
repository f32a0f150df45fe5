"""Open vSwitch, a bridge that is there: libvirt plugs domains into it, with port groups and VLANs."""

from __future__ import annotations

import pytest

from tests.libvirt import switch
from tests.libvirt.daemon import Libvirtd

FILE = """
name: demo
networks:
  trunks:
    type: libvirt
    forward: bridge
    bridge: ovsbr0
    virtualport: openvswitch
    portgroups:
      blue: {vlan: 10, default: true}
      all: {vlan: [10, 20]}
guests:
  web: {kind: libvirt, nics: [{network: trunks, mac: "52:54:00:00:00:01"}]}
  router: {kind: libvirt, nics: [{network: trunks, portgroup: all, mac: "52:54:00:00:00:02"}]}
"""
BRIDGE = f"""
PATH=/run/ovs:$PATH
ovs-vsctl --timeout=10 add-br ovsbr0 -- set bridge ovsbr0 datapath_type={switch.DATAPATH}
for vlan in 10 20; do
    ovs-vsctl --timeout=10 add-port ovsbr0 v$vlan tag=$vlan -- set interface v$vlan type=internal
    ip address add 10.$vlan.0.1/24 dev v$vlan
    ip link set v$vlan up
done
ip link set ovsbr0 up
"""


@pytest.mark.slow
def test_domains_on_open_vswitch(libvirtd: Libvirtd) -> None:
    sandbox = libvirtd.sandbox
    switch.start(sandbox)
    sandbox.sh(BRIDGE)
    assert f"{switch.DATAPATH}@" in sandbox.sh("PATH=/run/ovs:$PATH; ovs-appctl dpif/show")
    libvirtd.define("web", "nic=*,10.10.0.5/24")
    libvirtd.define("router")
    libvirtd.until_up("web", "router")
    sandbox.write(FILE)
    sandbox.guestwire("up")
    assert sandbox.answers("10.10.0.5")
    ports = {nic["mac"]: nic["host_link"] for guest in sandbox.json("status")["guests"] for nic in guest["nics"]}
    assert _port(libvirtd, ports["52:54:00:00:00:01"], "tag") == "10"
    assert _port(libvirtd, ports["52:54:00:00:00:02"], "trunks") == "[10, 20]"
    assert sandbox.json("plan")["changes"] == []
    sandbox.write(FILE.replace("blue: {vlan: 10", "blue: {vlan: 20"))
    (warning,) = sandbox.json("plan")["warnings"]
    assert "ports that are plugged in keep what their port group was" in warning
    sandbox.guestwire("up")
    assert "<tag id='20'/>" in libvirtd.virsh("net-dumpxml", "demo-trunks").partition("all")[0]
    sandbox.guestwire("down")
    assert set(ports.values()).isdisjoint(sandbox.sh("PATH=/run/ovs:$PATH; ovs-vsctl list-ports ovsbr0").split())
    assert libvirtd.virsh("net-list", "--all") == ""


def _port(libvirtd: Libvirtd, name: str, column: str) -> str:
    return libvirtd.sandbox.sh(f"PATH=/run/ovs:$PATH; ovs-vsctl get port {name} {column}").strip()
