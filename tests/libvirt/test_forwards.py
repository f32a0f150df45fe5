"""Domains that run, on every network of ours and in every forward mode of libvirt's: plugged in live, and they ping."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import pytest

from tests.libvirt.daemon import Libvirtd
from tests.sandbox import sandboxed

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


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Libvirtd]:
    """A host with NICs, and three domains that run and aren't plugged in anywhere."""
    with sandboxed(tmp_path_factory.mktemp("host")) as sandbox, closing(Libvirtd(sandbox)) as found:
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
            found.define(name, " ".join(words))
        found.until_up(*NICS)
        yield found


@pytest.fixture(scope="module")
def before(host: Libvirtd) -> dict[str, str]:
    """Each domain as it was defined before guestwire came, with a NIC of nobody's."""
    return {name: host.virsh("dumpxml", "--inactive", name) for name in NICS}


@pytest.fixture(scope="module")
def up(host: Libvirtd, before: dict[str, str]) -> str:
    """What `up` says of it all."""
    host.sandbox.write(FILE)
    return host.sandbox.guestwire("up").stdout


def _ping(host: Libvirtd, network: str) -> None:
    where = ("ip", "netns", "exec", "outside") if network.startswith(("mv", "direct")) else ()
    address = ADDRESSES[network].split("/")[0]
    host.sandbox.run(*where, "ping", "-c", "1", "-W", "5", address, check=False)
    said = host.sandbox.run(*where, "ping", "-c", "2", "-i", "0.2", "-W", "5", address)
    assert " 0% packet loss" in said.stdout


@pytest.mark.parametrize("network", ADDRESSES)
def test_a_domain_pings(host: Libvirtd, up: str, network: str) -> None:
    _ping(host, network)


def test_a_namespace_is_on_the_network_with_it(host: Libvirtd, up: str) -> None:
    said = host.sandbox.guestwire("exec", "ns", "--", "ping", "-c", "1", "-W", "5", "10.4.0.5").stdout
    assert " 0% packet loss" in said


def test_nothing_is_left_to_do(host: Libvirtd, up: str) -> None:
    assert host.sandbox.json("plan")["changes"] == []
    status = host.sandbox.json("status")
    assert [guest["state"] for guest in status["guests"]] == ["up"] * 4
    nics = {nic["network"]: nic for guest in status["guests"][1:] for nic in guest["nics"]}
    assert {network: nic["mac"] for network, nic in nics.items()} == MACS
    assert nics["routed"]["host_link"] == "demo-one.2"
    assert nics["lan"]["host_link"].startswith("vnet")
    assert nics["direct"]["host_link"].startswith("macvtap")


def test_a_drawing_shows_whose_vnet0_is(host: Libvirtd, up: str) -> None:
    drawn = host.sandbox.guestwire("draw", "guestwire.yaml").stdout
    assert "domain one" in drawn
    assert "domain three" in drawn


def test_a_nic_of_the_domains_own_is_explained_and_let_be(host: Libvirtd, up: str) -> None:
    host.virsh("attach-interface", "two", "bridge", "demo-lan", "--mac", "52:54:00:99:00:01", "--live")
    try:
        said = host.sandbox.guestwire("status").stdout
        assert "a port of demo-lan, is libvirt's: a NIC of domain two." in said
        assert host.sandbox.json("plan")["changes"] == []
    finally:
        host.virsh("detach-interface", "two", "bridge", "--mac", "52:54:00:99:00:01", "--live")


def test_a_nic_that_somebody_took_out_is_plugged_in_again(host: Libvirtd, up: str) -> None:
    host.virsh("detach-interface", "one", "bridge", "--mac", MACS["lan"], "--live")
    (change,) = host.sandbox.json("plan")["changes"]
    assert (change["action"], change["kind"], change["name"]) == ("change", "domain nic", f"one/{MACS['lan']}")
    host.sandbox.guestwire("up")
    _ping(host, "lan")


def test_a_bridge_that_is_made_anew_gets_the_domain_back(host: Libvirtd, up: str) -> None:
    host.sandbox.sh("ip link delete demo-lan")
    host.sandbox.guestwire("up")
    assert host.sandbox.json("plan")["changes"] == []
    _ping(host, "lan")
    _ping(host, "onlan")


def test_libvirtd_is_killed_and_nothing_is_lost(host: Libvirtd, up: str) -> None:
    host.kill()
    done = host.sandbox.guestwire("status", check=False)
    assert done.returncode == 69
    assert "libvirt doesn't answer at qemu:///system" in done.stderr
    _ping(host, "nat")
    host.start()
    assert host.sandbox.json("plan")["changes"] == []
    _ping(host, "open")


def test_a_network_that_must_be_started_anew_keeps_its_guests(host: Libvirtd, up: str) -> None:
    host.sandbox.write(FILE.replace("10.6.0.0/24}", "10.6.0.0/24, mtu: 1400}"))
    assert any("stopped and started" in warning for warning in host.sandbox.json("plan")["warnings"])
    host.sandbox.guestwire("up")
    _ping(host, "open")
    host.sandbox.write(FILE)
    host.sandbox.guestwire("up")
    _ping(host, "open")


def test_another_guest_comes_to_dhcp_without_a_pause(host: Libvirtd, up: str) -> None:
    pid = host.sandbox.sh("cat /run/libvirt/network/demo-nat.pid")
    host.sandbox.write(FILE.replace("ns: {nics: [lan, nat]}", "ns: {nics: [lan, nat]}\n  more: {nics: [nat]}"))
    host.sandbox.guestwire("up")
    assert "more" in host.virsh("net-dumpxml", "demo-nat")
    assert host.sandbox.sh("cat /run/libvirt/network/demo-nat.pid") == pid
    host.sandbox.write(FILE)
    host.sandbox.guestwire("up")
    assert "more" not in host.virsh("net-dumpxml", "demo-nat")


def test_down_leaves_the_domains_as_they_were(host: Libvirtd, up: str, before: dict[str, str]) -> None:
    host.sandbox.guestwire("down")
    assert {name: host.virsh("dumpxml", "--inactive", name) for name in NICS} == before
    assert host.virsh("net-list", "--all") == ""
    assert "<interface" not in host.virsh("dumpxml", "one")
    links = host.sandbox.sh("ip -o link | cut -d: -f2 | tr -d ' '").splitlines()
    assert [link for link in links if not link.startswith("eth")] == ["lo"]
