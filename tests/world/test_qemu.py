"""Virtual machines that boot: on every network, seen from outside and from within, changed, broken and mended."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.machine.guest import disk
from tests.sandbox import Sandbox
from tests.world.consoles import Console, folder, logged, machine
from tests.world.watching import watching

FILE = f"""
name: lab
networks:
  lan: {{type: bridge, subnet: 10.77.0.0/24, dhcp: true, nat: true}}
  direct: {{type: macvtap, uplink: eth0, mode: bridge}}
  routed: {{type: routed, subnet: 10.88.0.0/24}}
guests:
  ns: {{nics: [lan, direct, routed]}}
  leased: {machine("[{network: lan, queues: 2}]", "nic=*,dhcp", more="cpus: 2")}
  fixed:
    {
    machine(
        '[{network: direct, address: [192.0.2.222, "2001:db8:1::222"]}, {network: routed, address: 10.88.0.77}]',
        "nic=eth0,192.0.2.222/24,2001:db8:1::222/64,via=192.0.2.1,via=2001:db8:1::1",
        "nic=eth1,10.88.0.77/32",
    )
}
  image: {{kind: qemu, image: {disk("qcow2")}, memory: 256M, nics: [lan, {{network: lan, model: e1000}}]}}
expect:
  - ns reaches leased
  - ns reaches fixed
  - ns reaches image
  - internet does not reach leased
"""


DOWN = """
from guestwire import api
from guestwire.kinds.vm import Vm
def noted(word, really):
    return lambda machine, kernel: (print(word), really(machine, kernel))
Vm.announce, Vm.delete = noted("asked", Vm.announce), noted("ended", Vm.delete)
api.down()
"""


def _status(sandbox: Sandbox, guest: str) -> Any:
    return next(each for each in sandbox.json("status")["guests"] if each["name"] == guest)


@pytest.mark.timeout(300)
def test_machines_on_every_network(sandbox: Sandbox) -> None:
    """Booted once, and looked at from all sides."""
    before = sandbox.snapshot()
    sandbox.write(FILE)
    image = disk("qcow2").read_bytes()
    assert "model e1000 takes about 3 times the time" in sandbox.guestwire("up", "--lab", "--keep").stderr
    for guest in ("leased", "fixed", "image"):
        logged(sandbox, guest, "guest: up\n")
    _status_says_what_each_is(sandbox)
    _qemu_has_no_rights(sandbox)
    _they_reach_others_from_within(sandbox)
    _who_may_reaches_them(sandbox)
    (over,) = sandbox.sh("ls /var/lib/guestwire/lab").split()
    assert over.startswith("image.")
    assert sandbox.python(DOWN).stdout.split() == ["asked"] * 3 + ["ended"] * 3, "they power down at the same time"
    assert sandbox.snapshot() == before
    assert disk("qcow2").read_bytes() == image, "what it wrote is gone with its overlay"


def _status_says_what_each_is(sandbox: Sandbox) -> None:
    leased = _status(sandbox, "leased")
    machine = leased["machine"]
    assert (leased["state"], leased["kind"], machine["memory"], machine["cpus"]) == ("up", "qemu", 128, 2)
    (nic,) = leased["nics"]
    assert (nic["name"], nic["device"], nic["host_link"], nic["queues"]) == ("eth0", "tap", "lab-leased.0", 2)
    assert nic["vhost"] is False
    assert "/dev/vhost-net" in nic["why"], "never a silent fallback"
    assert [nic["device"] for nic in _status(sandbox, "fixed")["nics"]] == ["macvtap", "tap"]
    assert _status(sandbox, "image")["nics"][1]["why"] == "e1000 can't have it"
    assert sandbox.json("status")["drift"] == []


def _qemu_has_no_rights(sandbox: Sandbox) -> None:
    pid = _pid(sandbox, "image")
    status = dict(line.split(":\t") for line in sandbox.sh(f"cat /proc/{pid}/status").splitlines() if ":\t" in line)
    assert status["Uid"].split() == ["65534"] * 4
    assert status["Groups"].strip() == ""
    assert {int(status[name], 16) for name in ("CapPrm", "CapEff", "CapBnd", "CapInh", "CapAmb")} == {0}
    assert (status["NoNewPrivs"], status["Seccomp"]) == ("1", "2")


def _they_reach_others_from_within(sandbox: Sandbox) -> None:
    ns = {nic["network"]: nic["addresses"][0].split("/")[0] for nic in _status(sandbox, "ns")["nics"]}
    with Console(sandbox, "leased") as console:
        assert "inet 10.77.0." in console.run("ip address show eth0"), (
            "the address that the network's server has for it"
        )
        for address in (ns["lan"], "10.77.0.1", "203.0.113.1"):
            assert " 0% packet loss" in console.run(f"ping -c 1 -w 20 {address}")
        assert console.run("ls /sys/class/net/eth0/queues").split() == ["rx-0", "rx-1", "tx-0", "tx-1"]
    with Console(sandbox, "fixed") as console:
        for address in (ns["direct"], "192.0.2.1", "203.0.113.1"):
            assert " 0% packet loss" in console.run(f"ping -c 1 -w 20 {address}")
        assert "100% packet loss" in console.run("ping -c 1 -w 1 192.0.2.10"), "its host's own address"
    with Console(sandbox, "image") as console:
        card = "/sys/bus/pci/devices/0000:00:09.0"
        assert console.run(f"cat {card}/vendor {card}/device").split() == ["0x8086", "0x100e"], "Intel's 82540EM"


def _who_may_reaches_them(sandbox: Sandbox) -> None:
    document = sandbox.json("check")
    assert all(each["held"] for each in document["expectations"])
    reached = {(p["from"], p["to"], p["family"]): p["measured"] for p in document["pairs"]}
    assert reached["ns", "fixed", 4] is reached["gateway", "fixed", 4] is True
    assert reached["ns", "fixed", 6] is reached["internet", "fixed", 6] is True
    assert reached["host", "leased", 4] is True
    assert reached["host", "fixed", 4] is False, "a macvtap's guest and its host don't hear each other"
    assert reached["leased", "ns", 4] is None, "from within nobody asks yet"


# What follows changes its lab, which each test has for itself.

PAIR = """
name: lab
networks:
  lan: {{type: bridge, subnet: 10.77.0.0/24}}
  direct: {{type: macvtap, uplink: eth0}}
guests:
  ns: {{nics: [{{network: lan, address: 10.77.0.2}}, {{network: direct, address: 192.0.2.200}}]}}
  one: {one}
  two: {two}
"""
ONE = machine("[{network: lan, address: 10.77.0.11}]", "nic=eth0,10.77.0.11/24", "nic=eth1,192.0.2.211/24")
TWO = machine("[{network: direct, address: 192.0.2.222}]", "nic=eth0,192.0.2.222/24")


@pytest.mark.timeout(300)
def test_a_change_changes_no_more_than_it_says(sandbox: Sandbox) -> None:
    """Two machines, one on a bridge, one by a macvtap; booted once, and changed in one way after the other."""
    before = sandbox.snapshot()
    sandbox.write(PAIR.format(one=ONE, two=TWO))
    sandbox.guestwire("up", "--lab")
    for guest in ("one", "two"):
        logged(sandbox, guest, "guest: up\n")
    _a_mac_that_the_guest_changed_is_told(sandbox)
    _nics_come_and_go_under_traffic(sandbox)
    _a_killed_hot_plug_is_undone(sandbox)
    _what_a_machine_was_started_with_takes_a_restart(sandbox)
    _watch_mends_a_dead_a_stopped_and_a_deaf_machine(sandbox)
    sandbox.guestwire("down")
    assert sandbox.snapshot() == before


def _pid(sandbox: Sandbox, guest: str) -> int:
    return int(Path(folder(sandbox, guest), "pid").read_text())


def _reaches(sandbox: Sandbox, address: str) -> bool:
    """Whether the namespace `ns` gets an answer."""
    return sandbox.answers(address, "lab-ns")


def _nics_come_and_go_under_traffic(pair: Sandbox) -> None:
    pids = [_pid(pair, guest) for guest in ("one", "two")]
    more = ONE.replace("nics: [", "nics: [").replace(
        "address: 10.77.0.11}]", "address: 10.77.0.11}, {network: direct, address: 192.0.2.211}]"
    )
    flood = pair.inside("ip", "netns", "exec", "lab-ns", "ping", "-i", "0.05", "-c", "100", "10.77.0.11")
    with subprocess.Popen(flood, stdout=subprocess.PIPE, text=True) as traffic:
        pair.write(PAIR.format(one=more, two=TWO))
        assert [c["kind"] for c in pair.json("plan")["changes"]] == ["macvlan", "vmnic"]
        pair.guestwire("up")
        logged(pair, "one", "guest: eth1 is set up")
        assert _reaches(pair, "192.0.2.211")
        pair.write(PAIR.format(one=ONE.replace("address: 10.77.0.11", "address: 10.77.0.11, link: down"), two=TWO))
        pair.guestwire("up")
        with Console(pair, "one") as console:
            assert console.run("ls /sys/class/net; cat /sys/class/net/eth0/carrier").split() == ["eth0", "lo", "0"]
        pair.write(PAIR.format(one=ONE, two=TWO))
        pair.guestwire("up")
        said, _ = traffic.communicate(timeout=60)
    assert _reaches(pair, "10.77.0.11")
    assert " bytes from 10.77.0.11: icmp_seq=" in said, "but while its cable was out"
    assert [_pid(pair, guest) for guest in ("one", "two")] == pids, "nobody was started anew"


def _what_a_machine_was_started_with_takes_a_restart(pair: Sandbox) -> None:
    pids = [_pid(pair, guest) for guest in ("one", "two")]
    pair.write(PAIR.format(one=ONE.replace("128M", "160M"), two=TWO))
    assert "it restarts, since" in pair.guestwire("plan").stderr
    pair.guestwire("up")
    assert _pid(pair, "one") != pids[0]
    assert _pid(pair, "two") == pids[1], "who isn't concerned isn't touched"
    logged(pair, "one", "guest: up\n")
    assert _reaches(pair, "10.77.0.11")
    assert pair.json("plan")["changes"] == []


def _watch_mends_a_dead_a_stopped_and_a_deaf_machine(pair: Sandbox) -> None:
    with watching(pair) as watch:
        pair.kill(_pid(pair, "one"))
        watch.line("vm lab/one")
        pair.sh(f"kill -STOP {_pid(pair, 'two')}")
        watch.line("vm lab/two")
        assert _status(pair, "two")["state"] == "up"
        with Console(pair, "two") as console:
            console.run("ip link set eth0 down; ip link set eth0 address 02:00:00:00:00:09; ip link set eth0 up")
        watch.line("vmnic lab/two:eth0")
        logged(pair, "one", "guest: up\n")
        assert _reaches(pair, "10.77.0.11")
        assert _reaches(pair, "192.0.2.222")


def _a_mac_that_the_guest_changed_is_told(pair: Sandbox) -> None:
    with Console(pair, "one") as console:
        console.run("ip link set eth0 down; ip link set eth0 address 02:00:00:00:00:09; ip link set eth0 up")
    assert _status(pair, "one")["nics"][0]["guest_mac"] == "02:00:00:00:00:09"
    assert "one:eth0 has the MAC 02:00:00:00:00:09 by its guest" in pair.guestwire("status").stdout
    assert pair.json("status")["drift"] == [], "on a bridge it may have what MAC it likes"
    assert _reaches(pair, "10.77.0.11")


def _a_killed_hot_plug_is_undone(pair: Sandbox) -> None:
    before = pair.sh("ip -n lab-host link show type macvtap; ls /run/guestwire/lab/one.vm")
    more = ONE.replace("address: 10.77.0.11}]", "address: 10.77.0.11}, {network: direct, address: 192.0.2.211}]")
    pair.write(PAIR.format(one=more, two=TWO))
    steps = len(pair.json("plan")["changes"])
    for number in range(1, steps + 3):
        pair.guestwire("up", check=False, env={"GUESTWIRE_FAULT": f"kill:{number}"})
        pair.guestwire("rollback", check=False)
    pair.write(PAIR.format(one=ONE, two=TWO))
    pair.guestwire("up")
    assert pair.sh("ip -n lab-host link show type macvtap; ls /run/guestwire/lab/one.vm") == before
    with Console(pair, "one") as console:
        assert console.run("ls /sys/class/net").split() == ["eth0", "lo"]
