"""`export --to libvirt`: libvirt's own schemas accept it, libvirtd too; its XML is read and written back the same."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.examples import furnish
from tests.libvirt.daemon import Libvirtd, domain_xml
from tests.sandbox import Sandbox

EXAMPLES = sorted((Path(__file__).parents[2] / "examples").glob("*.yaml"))
NETWORKS = """
<network>
  <name>ovs-bridge-eth1</name>
  <forward mode='bridge' />
  <bridge name='br1' />
  <virtualport type='openvswitch'>
    <parameters interfaceid='bffd2747-4b84-44b5-bdf4-faede6e413c5' />
  </virtualport>
</network>
<network>
  <name>macvtap-bridge-eth1</name>
  <forward mode="bridge">
    <interface dev="eth1" />
  </forward>
</network>
<network>
  <name>macvtap-vepa-eth2</name>
  <forward mode="vepa">
    <interface dev="eth2" />
  </forward>
</network>
<network>
  <name>all</name>
  <forward mode='nat' dev='eth0'><nat><address start='192.0.2.7' end='192.0.2.8'/></nat></forward>
  <bridge name='virbr7' stp='off' delay='2'/>
  <domain name='example.org' localOnly='yes'/>
  <dns><host ip='10.1.2.3'><hostname>printer</hostname></host></dns>
  <ip address='10.1.2.1' netmask='255.255.255.0'>
    <tftp root='/srv'/>
    <dhcp><range start='10.1.2.100' end='10.1.2.200'/><host mac='52:54:00:00:00:01' ip='10.1.2.5'/></dhcp>
  </ip>
  <route address='10.9.0.0' prefix='16' gateway='10.1.2.2'/>
</network>
<network>
  <name>groups</name>
  <forward mode='bridge'/>
  <bridge name='ovsbr0'/>
  <virtualport type='openvswitch'/>
  <portgroup name='blue' default='yes'><vlan><tag id='10'/></vlan></portgroup>
  <portgroup name='all'><vlan trunk='yes'><tag id='10'/><tag id='20' nativeMode='untagged'/></vlan>
    <bandwidth><inbound average='1000'/></bandwidth></portgroup>
</network>
"""
"""Networks as people write them, those of a how-to on macvtap and Open vSwitch first."""
NICS = """
<interface type='network'>
  <mac address='52:54:00:0a:8a:c1' />
  <source network='ovs-bridge-eth1' />
  <model type='rtl8139' />
  <address type='pci' domain='0x0000' bus='0x00' slot='0x03' function='0x0' multifunction='on' />
</interface>
<interface type='network'>
  <mac address='52:54:00:0a:8a:c2' />
  <source network='macvtap-bridge-eth2' />
  <model type='rtl8139' />
  <address type='pci' domain='0x0000' bus='0x00' slot='0x03' function='0x1' />
</interface>
<interface type='bridge'>
  <mac address='52:54:00:0a:8a:c3'/>
  <source bridge='br0'/>
  <bandwidth><outbound average='500'/></bandwidth>
  <link state='down'/>
  <port isolated='yes'/>
</interface>
<interface type='direct' trustGuestRxFilters='yes'>
  <mac address='52:54:00:0a:8a:c4'/>
  <source dev='eth0' mode='vepa'/>
  <virtualport type='802.1Qbg'><parameters managerid='11' typeid='1193047' typeidversion='2'
    instanceid='09b11c53-8b5c-4eeb-8f00-d84eaa0aaa4f'/></virtualport>
  <driver name='vhost' queues='4'/>
  <model type='virtio'/>
</interface>
"""


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_libvirts_schemas_accept_it(sandbox: Sandbox, example: Path) -> None:
    furnish(example)
    document = sandbox.json("export", str(example), "--lab", "--to", "libvirt")
    assert document["documents"] or document["warnings"]
    for each in document["documents"]:
        schema, text = each["schema"], each["text"]
        if schema is None:
            schema, text = "domain", domain_xml("guest", nics=text)
        path = sandbox.write(text, each["file"])
        sandbox.run("virt-xml-validate", str(path), schema)


def test_what_cannot_be_said_is_told(sandbox: Sandbox) -> None:
    said = sandbox.guestwire("export", str(EXAMPLES[0].parent / "macvtap-source.yaml"), "--lab").stdout
    assert "<!-- not said here: network " in said
    assert "libvirt has no macvtap in mode source." in said


def test_a_nic_is_of_its_guests_model(sandbox: Sandbox) -> None:
    nics = "nics: [net, {network: net, model: rtl8139}]"
    sandbox.write(
        f"networks: {{net: {{type: bridge}}}}\nguests: {{g: {{kind: qemu, kernel: k, model: e1000, {nics}}}}}\n"
    )
    (sandbox.folder / "k").touch()
    told = {each["file"]: each["text"] for each in sandbox.json("export", "--lab", "--to", "libvirt")["documents"]}
    assert 'type="e1000"' in told["g-eth0.xml"]
    assert 'type="rtl8139"' in told["g-eth1.xml"]


def test_queues_vhost_and_a_cable_that_is_out_go_along(sandbox: Sandbox) -> None:
    nics = "nics: [net, {network: net, queues: 1, vhost: false, link: down, port: {isolated: true, hairpin: true}}]"
    sandbox.write(f"networks: {{net: {{type: bridge}}}}\nguests: {{g: {{kind: qemu, kernel: k, queues: 4, {nics}}}}}\n")
    (sandbox.folder / "k").touch()
    document = sandbox.json("export", "--lab", "--to", "libvirt")
    told = {each["file"]: each["text"] for each in document["documents"]}
    assert '<driver queues="4" />' in told["g-eth0.xml"]
    assert "<link" not in told["g-eth0.xml"]
    assert '<driver name="qemu" />' in told["g-eth1.xml"]
    assert '<link state="down" />' in told["g-eth1.xml"]
    path = sandbox.write(domain_xml("guest", nics=told["g-eth0.xml"] + told["g-eth1.xml"]), "guest.xml")
    sandbox.run("virt-xml-validate", str(path), "domain")
    assert [each for each in document["warnings"] if "eth1" in each and "hairpin" in each]
    assert not [each for each in document["warnings"] if "eth0" in each]


def test_libvirts_own_xml_comes_back_equal_in_meaning(libvirtd: Libvirtd) -> None:
    """libvirtd judges: what it makes of the original and of what was written back is the same, UUID and MACs aside."""
    names = re.findall("<name>(.*)</name>", NETWORKS)
    before = [_defined(libvirtd, name, text) for name, text in zip(names, _each(NETWORKS, "network"), strict=True)]
    libvirtd.sandbox.write(NETWORKS, "theirs.xml")
    documents = libvirtd.sandbox.json("export", "theirs.xml")["documents"]
    assert [_defined(libvirtd, name, each["text"]) for name, each in zip(names, documents, strict=True)] == before


def test_a_domains_nics_come_back_equal_in_meaning(libvirtd: Libvirtd) -> None:
    libvirtd.sandbox.write(NICS, "nics.xml")
    documents = libvirtd.sandbox.json("export", "nics.xml")["documents"]
    found = []
    for nics in (NICS, "".join(each["text"] for each in documents)):
        libvirtd.define("web", nics=nics, start=False)
        found.append(libvirtd.virsh("dumpxml", "web"))
        libvirtd.virsh("undefine", "web")
    assert re.sub("<uuid>.*", "", found[0]) == re.sub("<uuid>.*", "", found[1])


def test_what_is_exported_works_in_libvirt(libvirtd: Libvirtd) -> None:
    libvirtd.sandbox.write(
        "name: demo\nnetworks:\n"
        "  private: {type: bridge, subnet: [10.77.0.0/24, 'fd00:77::/64'], nat: true, dhcp: true}\n"
        "guests:\n  web: {nics: [private]}\n"
    )
    libvirtd.sandbox.guestwire("export", "--into", "xml")
    libvirtd.virsh("net-define", "xml/demo-private.xml")
    libvirtd.virsh("net-start", "demo-private")
    assert "10.77.0.1/24" in libvirtd.sandbox.sh("ip -br address show dev demo-private")
    libvirtd.define("web", start=False)
    libvirtd.virsh("attach-device", "web", "xml/web-eth0.xml", "--config")
    assert "network='demo-private'" in libvirtd.virsh("dumpxml", "web")


def test_no_xml(sandbox: Sandbox) -> None:
    sandbox.write("<network><name>", "broken.xml")
    sandbox.write("<pool/>", "other.xml")
    assert "line 1" in sandbox.json("export", "broken.xml", code=65)["error"]["message"]
    assert "no network" in sandbox.json("export", "other.xml", code=65)["error"]["message"]
    assert "can't be read" in sandbox.json("export", "none.xml", code=65)["error"]["message"]


def _each(text: str, tag: str) -> list[str]:
    return re.findall(f"<{tag}.*?</{tag}>", text, re.DOTALL)


def _defined(libvirtd: Libvirtd, name: str, text: str) -> str:
    libvirtd.sandbox.write(text, "one.xml")
    libvirtd.virsh("net-define", "one.xml")
    found = libvirtd.virsh("net-dumpxml", name)
    libvirtd.virsh("net-undefine", name)
    return re.sub("<(uuid|mac address).*", "", found).replace("netmask='255.255.255.0'", "prefix='24'")
