"""What goes wrong with libvirt: it is absent, hangs, is another version; names are taken; guestwire is killed."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from tests.libvirt.daemon import Libvirtd
from tests.sandbox import SOURCE, Sandbox

FILE = """
name: demo
networks:
  lan: {type: bridge, subnet: 10.1.0.0/24}
  nat: {type: libvirt, subnet: 10.4.0.0/24, dhcp: true}
guests:
  web: {kind: libvirt, nics: [lan, nat]}
  ns: {nics: [lan, nat]}
"""
RULES = "for ip in ip ip6; do ${ip}tables-save | grep -v '^[:#]'; done"
THEIRS = """<network><name>demo-nat</name><bridge name='theirs0'/>
<ip address='10.99.0.1' netmask='255.255.255.0'/></network>"""


@pytest.fixture
def off(libvirtd: Libvirtd) -> Libvirtd:
    """A libvirtd with a domain that is off."""
    libvirtd.define("web", start=False)
    libvirtd.sandbox.write(FILE)
    return libvirtd


def _fails(sandbox: Sandbox, code: int, *words: str, verb: str = "up") -> None:
    done = sandbox.guestwire(verb, check=False)
    assert done.returncode == code, done.stdout + done.stderr
    for word in words:
        assert word in done.stderr


def test_no_libvirtd(sandbox: Sandbox) -> None:
    sandbox.write(FILE)
    before = sandbox.snapshot()
    _fails(sandbox, 69, "libvirt doesn't answer at qemu:///system", "libvirtd --daemon")
    assert sandbox.snapshot() == before


@pytest.mark.parametrize(
    ("error", "words"),
    [
        ("No module named 'libvirt'", ("libvirt-python is missing", "pkg-config --modversion libvirt")),
        ("undefined symbol: virDomainFoo", ("doesn't fit the libvirt of this machine", "pip install libvirt-python==")),
    ],
)
def test_no_library_or_another_version(sandbox: Sandbox, tmp_path: Path, error: str, words: tuple[str, ...]) -> None:
    folder = tmp_path / "library"
    folder.mkdir()
    (folder / "libvirt.py").write_text(f"raise ImportError({error!r})\n")
    sandbox.write(FILE)
    path = {"PYTHONPATH": f"{folder}:{SOURCE}"}
    done = sandbox.run(sys.executable, "-m", "guestwire", "up", check=False, env=path)
    assert done.returncode == 69
    for word in words:
        assert word in done.stderr


def test_a_libvirtd_that_hangs_is_waited_for_in_vain_only_so_long(off: Libvirtd) -> None:
    off.sandbox.sh("ip link add br0 type bridge")
    off.stop()
    os.unlink(off.sandbox.folder / "guestwire.yaml")
    for verb in ("draw", "status"):
        said = off.sandbox.run(sys.executable, "-m", "guestwire", verb, seconds=60).stdout
        assert "br0" in said


def test_a_domain_keeps_its_address_when_another_comes_before_it(off: Libvirtd) -> None:
    """What it leased is what the network's server keeps for it."""
    text = FILE.replace("10.1.0.0/24", "[10.1.0.0/24, 'fd00:1::/64'], dhcp: true")
    off.sandbox.write(text.replace("10.4.0.0/24", "[10.4.0.0/24, 'fd00:4::/64']"))
    off.sandbox.guestwire("up")
    hosts = Path("/proc", str(off.sandbox.pid), "root/run/guestwire/demo/dhcp.lan.hosts")

    def kept() -> set[str]:
        lines = (*hosts.read_text().splitlines(), *off.virsh("net-dumpxml", "demo-nat").splitlines())
        return {line for line in lines if ",web" in line or "name='web'" in line}

    before = kept()
    assert len(before) == 3
    text = (off.sandbox.folder / "guestwire.yaml").read_text()
    off.sandbox.write(text.replace("guests:\n", "guests:\n  new: {nics: [lan, nat]}\n"))
    off.sandbox.guestwire("up")
    assert kept() == before


def test_no_such_domain(off: Libvirtd) -> None:
    off.sandbox.write(FILE.replace("kind: libvirt,", "kind: libvirt, domain: wbe,"))
    _fails(off.sandbox, 65, 'guestwire.yaml:7:32: guest "web": libvirt has no domain "wbe"', "virsh list --all")


def test_a_lab_has_no_domains(off: Libvirtd) -> None:
    done = off.sandbox.guestwire("up", "--lab", check=False)
    assert done.returncode == 65
    assert 'domain "web" runs where its libvirtd does, and that isn\'t in a lab.' in done.stderr
    assert "libvirt's networks are where its libvirtd is" in done.stderr


def test_a_network_of_that_name_is_somebody_elses(off: Libvirtd) -> None:
    off.sandbox.write(THEIRS, "theirs.xml")
    off.virsh("net-define", str(off.sandbox.folder / "theirs.xml"))
    before, theirs = off.sandbox.snapshot(), off.virsh("net-dumpxml", "demo-nat")
    _fails(off.sandbox, 65, "guestwire.yaml:5:3", "libvirt network demo-nat is already there and isn't guestwire's")
    assert off.sandbox.snapshot() == before
    assert off.virsh("net-dumpxml", "demo-nat") == theirs


def test_a_domain_has_a_nic_with_that_mac(off: Libvirtd) -> None:
    off.sandbox.write(FILE.replace("[lan, nat]}\n  ns", '[{network: lan, mac: "52:54:00:00:00:09"}]}\n  ns'))
    off.virsh("attach-interface", "web", "network", "other", "--mac", "52:54:00:00:00:09", "--config")
    _fails(off.sandbox, 65, "domain nic web/52:54:00:00:00:09 is already there and isn't guestwire's")
    assert "network='other'" in off.virsh("dumpxml", "web")


def test_the_bridges_name_is_taken(off: Libvirtd) -> None:
    off.sandbox.sh("ip link add demo-nat type bridge")
    _fails(off.sandbox, 71, "libvirt network demo-nat", "All was undone.")
    assert off.virsh("net-list", "--all") == ""
    assert "<interface" not in off.virsh("dumpxml", "web")


WRONG = {
    "{type: libvirt, bridge: br0, subnet: 10.4.0.0/24}": "forward nat has libvirt make the bridge itself",
    "{type: libvirt}": "forward nat without subnet",
    "{type: libvirt, forward: bridge}": "Write either bridge: br0 or uplink: eth0",
    "{type: libvirt, forward: vepa}": "Name the host's NIC",
    "{type: libvirt, forward: bridge, bridge: br0, dhcp: true}": "libvirt serves only on bridges that it makes",
    "{type: libvirt, forward: bridge, bridge: br0, vlan: 7}": "only Open vSwitch's takes VLANs",
    "{type: libvirt, forward: vepa, uplink: eth0}": "a namespace needs one",
    "{type: libvirt, subnet: 10.4.0.0/24}, x: {type: libvirt, virtualport: openvswitch}": "which of Open vSwitch",
}


def test_what_a_network_cannot_be(sandbox: Sandbox) -> None:
    for network, words in WRONG.items():
        text = FILE.replace("{type: libvirt, subnet: 10.4.0.0/24, dhcp: true}", network.replace(", x:", "\n  x:"))
        sandbox.write(text)
        _fails(sandbox, 65, words, verb="plan")


def test_no_such_bridge(off: Libvirtd) -> None:
    off.sandbox.write(FILE.replace("subnet: 10.4.0.0/24, dhcp: true", "forward: bridge, bridge: nope"))
    _fails(off.sandbox, 65, "the host has no bridge nope")


def test_a_killed_up_is_taken_back(off: Libvirtd) -> None:
    """kill -9 before each of a change's last steps, among which are all of libvirt's."""
    links, domain = off.sandbox.snapshot()["links of "], off.virsh("dumpxml", "web")
    number = len(off.sandbox.json("plan")["changes"]) + 8
    for fault in (1, *range(number - 12, number - 2, 3)):
        killed = off.sandbox.guestwire("up", check=False, env={"GUESTWIRE_FAULT": f"kill:{fault}"})
        if killed.returncode == 0:
            off.sandbox.guestwire("down")
            continue
        off.sandbox.guestwire("rollback")
        assert off.virsh("dumpxml", "web") == domain
        assert off.virsh("net-list", "--all") == ""
    assert off.sandbox.snapshot()["links of "] == links


def test_libvirtd_and_guestwire_are_killed(off: Libvirtd) -> None:
    """What is half done stays noted until libvirtd is back, and is taken back then."""
    domain = off.virsh("dumpxml", "web")
    off.sandbox.guestwire("up", check=False, env={"GUESTWIRE_FAULT": "kill:17"})
    assert off.virsh("net-list", "--all") != ""
    off.kill()
    for _ in range(2):
        _fails(off.sandbox, 69, "libvirt doesn't answer", verb="rollback")
    off.start()
    off.sandbox.guestwire("rollback")
    assert off.virsh("dumpxml", "web") == domain
    assert off.virsh("net-list", "--all") == ""


def test_a_libvirtd_that_was_killed_isnt_taken_for_another_process(off: Libvirtd) -> None:
    asking = "from guestwire.daemons import libvirt; print(libvirt.is_running())"
    assert off.sandbox.python(asking).stdout == "True\n"
    off.kill()
    off.sandbox.sh("echo 1 >/run/libvirtd.pid")
    assert off.sandbox.python(asking).stdout == "False\n"


def test_libvirtd_is_killed_in_the_middle(off: Libvirtd) -> None:
    """A hook of its own ends it when the network has been started, before it has answered."""
    domain = off.virsh("dumpxml", "web")
    hook = '#!/bin/sh\n[ "$2" != started ] || kill -9 $(cat /run/libvirtd.pid)\n'
    off.sandbox.sh("mkdir -p /etc/libvirt/hooks")
    off.sandbox.run("sh", "-c", "cat >/etc/libvirt/hooks/network; chmod +x /etc/libvirt/hooks/network", text=hook)
    off.kill()
    off.start()  # it looks for hooks then
    _fails(off.sandbox, 71, "libvirt network demo-nat", "guestwire rollback")
    off.sandbox.sh("rm /etc/libvirt/hooks/network")
    off.start()
    off.sandbox.sh(
        "iptables -A LIBVIRT_FWI -o other0 -j ACCEPT; iptables -t nat -A LIBVIRT_PRT -s 10.40.0.0/24 -j RETURN"
    )
    theirs = off.sandbox.sh(RULES)
    assert "10.4.0.0/24" in theirs
    off.sandbox.guestwire("rollback")
    assert off.virsh("dumpxml", "web") == domain
    assert off.virsh("net-list", "--all") == ""
    assert "demo" not in off.sandbox.sh("ip -br link")
    assert "demo" not in off.sandbox.sh("ps -e -o args=")
    left = [line for line in theirs.splitlines() if "demo-nat" not in line and "10.4.0.0/24" not in line]
    assert off.sandbox.sh(RULES).splitlines() == left


def test_up_and_down_leave_the_domain_as_it_was(off: Libvirtd) -> None:
    domain = off.virsh("dumpxml", "web")
    said = off.sandbox.guestwire("up")
    assert 'domain "web" is off: its NICs go into its definition' in said.stderr
    assert off.virsh("dumpxml", "web").count("ua-guestwire_demo_") == 2
    assert "guestwire:project>demo<" in off.virsh("net-dumpxml", "demo-nat")
    assert off.sandbox.json("plan")["changes"] == []
    off.sandbox.guestwire("down")
    assert off.virsh("dumpxml", "web") == domain
    assert off.virsh("net-list", "--all") == ""


def test_more_than_libvirt_can_say(off: Libvirtd) -> None:
    """Then the domain's NIC is a tap or macvtap of ours."""
    text = FILE.replace("subnet: 10.1.0.0/24}", "subnet: 10.1.0.0/24, port: {learning: false}}")
    few = "  few: {type: macvtap, uplink: eth0, mode: source, macs: '52:54:00:00:00:77'}\nguests:"
    off.sandbox.write(text.replace("guests:", few).replace("[lan, nat]}\n  ns", "[lan, few]}\n  ns"))
    off.sandbox.sh("ip link add eth0 type veth peer name far0; ip link set eth0 up; ip link set far0 up")
    off.sandbox.guestwire("up")
    assert off.virsh("dumpxml", "web").count("managed='no'") == 2
    off.virsh("start", "web")
    for link in ("demo-web.0", "demo-web.1"):
        off.sandbox.sh(f"until ip link show {link} | grep -q ' state UP'; do sleep 0.05; done")
    assert "learning off" in off.sandbox.sh("bridge -d link show dev demo-web.0")
    assert off.sandbox.json("plan")["changes"] == []
    assert [nic["plugged"] for nic in off.sandbox.json("status")["guests"][0]["nics"]] == [True, True]


def test_down_after_a_reboot(off: Libvirtd) -> None:
    """The project's state is gone, as are its links; what libvirt keeps is known by its marks."""
    domain = off.virsh("dumpxml", "web")
    off.sandbox.guestwire("up")
    off.sandbox.sh("rm -r /run/guestwire; ip netns delete demo-ns; ip link delete demo-lan")
    off.virsh("net-destroy", "demo-nat")
    (listed,) = off.sandbox.json("list")["projects"]
    assert (listed["project"], listed["state"]) == ("demo", "kept")
    assert "only libvirt has something of it yet" in off.sandbox.guestwire("list").stdout
    assert "What was known of it is lost, as after a reboot" in off.sandbox.guestwire("status").stdout
    off.sandbox.guestwire("down", "--project", "demo")
    assert off.virsh("dumpxml", "web") == domain
    assert off.virsh("net-list", "--all") == ""


def test_a_copy_of_the_host_has_no_libvirt(off: Libvirtd) -> None:
    """`try` would otherwise plug into the real domain; it rehearses the rest, with a bridge for libvirt's network."""
    domain = off.virsh("dumpxml", "web")
    off.sandbox.write(f"{FILE}expect: [ns reaches host, web reaches ns]")
    tried = off.sandbox.json("try", code=69)
    assert [each["what"] for each in tried["missing"][:2]] == ["domain web", "libvirt network demo-nat"]
    assert [each["held"] for each in tried["check"]["expectations"]] == [True, None]
    assert tried["check"]["expectations"][1]["why"] == 'guest "web": it isn\'t part of the copy.'
    assert off.virsh("dumpxml", "web") == domain
    assert off.virsh("net-list", "--all") == ""
    off.sandbox.write(FILE)
    off.sandbox.guestwire("up")
    domain = off.virsh("dumpxml", "web")
    off.sandbox.write(FILE.replace("ns: {", "more: {nics: [nat]}\n  ns: {"))
    said = off.sandbox.guestwire("try").stdout
    assert "domain web: it isn't plugged in there, by 2 NICs." in said
    assert "`up`" not in said  # it did there what it would do here
    assert off.virsh("dumpxml", "web") == domain
    off.sandbox.guestwire("down")
    domain = off.virsh("dumpxml", "web")
    off.sandbox.sh("ip netns add other")
    done = off.sandbox.guestwire("up", "--netns", "other", check=False)
    assert done.returncode == 69
    assert "libvirtd makes its links in another network namespace" in done.stderr
    assert off.virsh("dumpxml", "web") == domain
    assert off.virsh("net-list", "--all") == ""
