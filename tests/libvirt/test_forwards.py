"""Domains that run, on every network of ours and in every forward mode of libvirt's: plugged in live, and they ping."""

from __future__ import annotations

import re

import pytest

from tests.libvirt.daemon import Libvirtd
from tests.world.watching import watching

MODES = ("bridge", "vepa", "private", "passthrough")
NICS = {
    "one": ["lan", "direct", "routed", "nat"],
    "two": ["route", "open", "isolated", "onlan"],
    "three": [f"mv{mode}" for mode in MODES],
}
ADDRESSES = {
    "lan": "10.1.0.5/24",
    "direct": "10.2.0.5/24",
    "routed": "10.3.0.5/32",
    "nat": "10.4.0.5/24",
    "route": "10.5.0.5/24",
    "open": "10.6.0.5/24",
    "isolated": "10.7.0.5/24",
    "onlan": "10.1.0.6/24",
    **{f"mv{mode}": f"10.{20 + number}.0.5/24" for number, mode in enumerate(MODES)},
}
THEIRS = ("52:54:00:99:00:01", "52:54:00:99:00:02")
MACS = {network: f"52:54:00:00:00:{number:02x}" for number, network in enumerate(ADDRESSES)}
FILE = """
name: demo
networks:
  lan: {type: bridge, subnet: 10.1.0.0/24}
  direct: {type: macvtap, uplink: eth9}
  routed: {type: routed, subnet: 10.3.0.0/24}
  nat: {type: libvirt, subnet: 10.4.0.0/24, dhcp: true}
  route: {type: libvirt, forward: route, subnet: 10.5.0.0/24}
  open: {type: libvirt, forward: open, subnet: 10.6.0.0/24}
  isolated: {type: libvirt, forward: isolated, subnet: 10.7.0.0/24}
  onlan: {type: libvirt, forward: bridge, bridge: lan}
"""
FILE += "".join(
    f"  mv{mode}: {{type: libvirt, forward: {mode}, uplink: eth{number}}}\n" for number, mode in enumerate(MODES)
)
FILE += "guests:\n  ns: {nics: [lan, nat]}\n"
for _domain, _nics in NICS.items():
    FILE += f"  {_domain}:\n    kind: libvirt\n    nics:\n"
    for _nic in _nics:
        FILE += f'      - {{network: {_nic}, mac: "{MACS[_nic]}"'
        FILE += f", address: {ADDRESSES[_nic].partition('/')[0]}}}\n" if _nic in ("routed", "nat") else "}\n"


@pytest.fixture
def host(libvirtd: Libvirtd) -> Libvirtd:
    """A host with NICs, and three domains that run and aren't plugged in anywhere."""
    sandbox = libvirtd.sandbox
    sandbox.sh("ip netns add outside; ip -n outside link set lo up")
    for number, network in [*enumerate(f"10.{20 + n}.0" for n in range(len(MODES))), (9, "10.2.0")]:
        sandbox.sh(
            f"ip link add eth{number} type veth peer name far{number} netns outside; ip link set eth{number} up;"
            f"ip -n outside link set far{number} up; ip -n outside address add {network}.1/24 dev far{number}"
        )
    for name, nics in NICS.items():
        words = [
            f"nic={MACS[nic]},{'dhcp' if nic == 'nat' else ADDRESSES[nic]}"
            + (",via=169.254.1.1" if nic == "routed" else "")
            for nic in nics
        ]
        libvirtd.define(name, " ".join(words))
    libvirtd.until_up(*NICS)
    return libvirtd


def test_domains_that_run(host: Libvirtd) -> None:
    """One after another on the same three domains, for each takes seconds to boot."""
    before = {name: host.virsh("dumpxml", "--inactive", name) for name in NICS}
    host.sandbox.write(FILE)
    host.sandbox.guestwire("up")
    for network in ADDRESSES:
        _ping(host, network)
    _nothing_is_left_to_do(host)
    _a_nic_of_the_domains_own_is_explained_and_let_be(host)
    _libvirtd_is_killed_and_nothing_is_lost(host)
    _a_network_that_must_be_started_anew_keeps_its_guests(host)
    _another_guest_comes_to_dhcp_without_a_pause(host)
    _watch_mends(host)
    _down_says_whom_it_cuts_off(host)
    assert {name: host.virsh("dumpxml", "--inactive", name) for name in NICS} == before
    assert host.virsh("net-list", "--all") == ""
    assert "<interface" not in host.virsh("dumpxml", "one")
    links = host.sandbox.sh("ip -o link | cut -d: -f2 | tr -d ' '").splitlines()
    assert [link for link in links if not link.startswith("eth")] == ["lo"]


def _ping(host: Libvirtd, network: str) -> None:
    """One answer; an earlier question may die while the guest sets its NIC up."""
    netns = "outside" if network.startswith(("mv", "direct")) else ""
    assert host.sandbox.answers(ADDRESSES[network].partition("/")[0], netns), network


def _nothing_is_left_to_do(host: Libvirtd) -> None:
    assert host.sandbox.json("plan")["changes"] == []
    assert host.sandbox.answers("10.4.0.5", "demo-ns")
    status = host.sandbox.json("status")
    assert [guest["state"] for guest in status["guests"]] == ["up"] * 4
    nics = {nic["network"]: nic for guest in status["guests"][1:] for nic in guest["nics"]}
    assert {network: nic["mac"] for network, nic in nics.items()} == MACS
    assert nics["routed"]["host_link"] == "demo-one.2"
    assert nics["lan"]["host_link"].startswith("vnet")
    assert nics["direct"]["host_link"].startswith("macvtap")
    (lease,) = next(network["leases"] for network in status["networks"] if network["name"] == "nat")
    assert (lease["address"], lease["mac"]) == ("10.4.0.5", MACS["nat"])
    drawn = host.sandbox.guestwire("draw", "guestwire.yaml").stdout
    assert "vnet0" in drawn
    assert "domain one" in drawn
    assert "domain three" in drawn


def _a_nic_of_the_domains_own_is_explained_and_let_be(host: Libvirtd) -> None:
    host.virsh("attach-interface", "two", "bridge", "demo-lan", "--mac", THEIRS[0], "--live")
    said = host.sandbox.guestwire("status").stdout
    assert "a port of demo-lan, is libvirt's: a NIC of domain two." in said
    assert host.sandbox.json("plan")["changes"] == []
    host.unplug("two", "bridge", THEIRS[0])


def _libvirtd_is_killed_and_nothing_is_lost(host: Libvirtd) -> None:
    host.kill()
    done = host.sandbox.guestwire("status", check=False)
    assert done.returncode == 69
    assert "libvirt doesn't answer at qemu:///system" in done.stderr
    _ping(host, "nat")
    host.start()
    assert host.sandbox.json("plan")["changes"] == []
    _ping(host, "open")


def _a_network_that_must_be_started_anew_keeps_its_guests(host: Libvirtd) -> None:
    host.sandbox.write(FILE.replace("10.6.0.0/24}", "10.6.0.0/24, mtu: 1400}"))
    assert any("stopped and started" in warning for warning in host.sandbox.json("plan")["warnings"])
    host.sandbox.guestwire("up")
    _ping(host, "open")
    host.sandbox.write(FILE)


def _another_guest_comes_to_dhcp_without_a_pause(host: Libvirtd) -> None:
    host.sandbox.guestwire("up")
    pid = host.sandbox.sh("cat /run/libvirt/network/demo-nat.pid")
    host.sandbox.write(FILE.replace("ns: {nics: [lan, nat]}", "ns: {nics: [lan, nat]}\n  more: {nics: [nat]}"))
    host.sandbox.guestwire("up")
    assert "more" in host.virsh("net-dumpxml", "demo-nat")
    assert host.sandbox.sh("cat /run/libvirt/network/demo-nat.pid") == pid
    host.sandbox.write(FILE)
    host.sandbox.guestwire("up")
    assert "more" not in host.virsh("net-dumpxml", "demo-nat")


def _watch_mends(host: Libvirtd) -> None:
    """A NIC that somebody has taken out; a bridge that was deleted, also while libvirtd was killed."""
    with watching(host.sandbox) as watch:
        host.virsh("detach-interface", "one", "bridge", "--mac", MACS["lan"], "--live")
        watch.line(f"domain nic one/{MACS['lan']}")
        _ping(host, "lan")
        host.sandbox.sh("ip link delete demo-lan")
        watch.line(f"domain nic two/{MACS['onlan']}")
        _ping(host, "onlan")
        host.kill()
        watch.line("libvirt doesn't answer at qemu:///system")
        host.sandbox.sh("ip link delete demo-lan")
        watch.line("bridge demo-lan")
        host.start()  # it puts back the taps that have lost their bridge by itself
        _ping(host, "onlan")
    assert host.sandbox.json("plan")["changes"] == []


def _down_says_whom_it_cuts_off(host: Libvirtd) -> None:
    """A NIC of the domain's own on a bridge of ours, and one on a network of libvirt's that is ours."""
    for kind, source, mac in (("bridge", "demo-lan", THEIRS[0]), ("network", "demo-nat", THEIRS[1])):
        host.virsh("attach-interface", "two", kind, source, "--mac", mac, "--live")
    said = host.sandbox.guestwire("down").stderr
    for bridge in ("demo-lan", "demo-nat"):
        assert re.search(rf"{bridge} goes, .* are cut off: vnet\d+ \(domain two's\)\.", said)
    for mac in THEIRS:
        assert mac in host.virsh("dumpxml", "two")
        host.unplug("two", "bridge" if mac == THEIRS[0] else "network", mac)
