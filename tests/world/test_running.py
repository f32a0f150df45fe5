"""`run`: a program gets a NIC by number or in a namespace, its code and signals are its own, nothing stays."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.machine.guest import APPEND, initramfs, kernel
from tests.sandbox import SOURCE, Sandbox, ended
from tests.world.watching import watching

FILE = """
name: p
networks:
  net: {type: bridge, subnet: 10.1.0.0/24, dhcp: true}
  far: {type: routed, subnet: 10.2.0.0/24}
guests:
  web: {nics: [net, far]}
"""
ANSWER = """
import os, struct, sys
assert (os.environ["LISTEN_FDS"], os.environ["LISTEN_PID"]) == ("1", str(os.getpid()))
assert os.environ["LISTEN_FDNAMES"] == "net"
mac, address = bytes.fromhex(sys.argv[1].replace(":", "")), bytes(map(int, sys.argv[2].split(".")))
print(os.getpid(), flush=True)
while True:
    frame = os.read(3, 4096)
    there = frame[6:12]
    if frame[12:14] == b"\\x08\\x06" and frame[38:42] == address:
        os.write(3, there + mac + frame[12:21] + b"\\2" + mac + frame[38:42] + frame[22:32])
    elif frame[12:14] == b"\\x08\\x00" and frame[23] == 1 and frame[34] == 8 and frame[30:34] == address:
        whole = int.from_bytes(frame[36:38]) + 0x800
        sum_ = (whole & 0xffff) + (whole >> 16)
        swapped = frame[30:34] + frame[26:30]
        os.write(3, there + mac + frame[12:26] + swapped + b"\\0\\0" + struct.pack("!H", sum_) + frame[38:])
"""
"""A program that finds its NIC by systemd's words, and answers ARP and echo for the address that it is told."""


@pytest.fixture
def host(sandbox: Sandbox) -> Sandbox:
    """A host where the project is up."""
    sandbox.write(FILE)
    sandbox.guestwire("up")
    return sandbox


@contextmanager
def answering(host: Sandbox, *words: str) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """Such a program: guestwire's process, and its own number."""
    command = [sys.executable, "-m", "guestwire", "run", "--network", "net", *words, "--"]
    command += [sys.executable, "-c", ANSWER, "{mac}", "{address}"]
    env = {**os.environ, "PYTHONPATH": str(SOURCE)}
    with (
        subprocess.Popen(host.inside(*command), stdout=subprocess.PIPE, text=True, cwd=host.folder, env=env) as running,
        ended(running),
    ):
        assert running.stdout
        yield running, int(running.stdout.readline())


def test_a_program_answers_through_descriptor_3(host: Sandbox) -> None:
    before = host.snapshot()
    with answering(host) as (running, pid):
        assert host.answers("10.1.0.3")
        status = host.json("status")
        program = status["guests"][1]
        assert (program["name"], program["kind"], program["state"], program["pid"]) == ("run-1", "program", "up", pid)
        assert program["nics"][0]["addresses"] == ["10.1.0.3/24"]
        assert status["drift"] == []
        assert host.json("up")["changes"] == []
        host.write(FILE.replace("web:", "new: {nics: [net]}\n  web:"))
        host.guestwire("up")  # a guest more, which doesn't get its address
        assert "10.1.0.4/24" in host.sh("ip -n p-new address")
        assert host.answers("10.1.0.3")
        host.sh(f"kill $(ps -o ppid= -p {pid})")  # guestwire, which passes it on
        assert running.wait(60) == 128 + 15
    host.write(FILE)
    host.guestwire("up")
    assert host.snapshot() == before
    host.guestwire("down")


def test_its_words_and_its_code_are_the_commands(host: Sandbox) -> None:
    before = host.snapshot()

    def said(*words: str, code: int = 0) -> list[str]:
        done = host.guestwire("run", *words, check=False)
        assert done.returncode == code, done.stderr
        assert host.snapshot() == before
        return done.stdout.split()

    mac = "52:54:00:00:00:09"
    asked = ("--network", "net", "--queues", "2", "--address", "10.1.0.77", "--mac", mac, "--name", "box")
    words = ("{fd}", "{fds}", "{mac}", "{address}", "{name}", "{network}", "{{fd}}", "{x}")
    assert said(*asked, "--", "echo", *words) == ["3", "3:4", mac, "10.1.0.77", "box", "net", "{fd}", "{x}"]
    assert said("--network", "net", "--", "sh", "-c", "exit 7", code=7) == []
    assert said("--network", "net", "--", "sh", "-c", "kill -KILL $$", code=137) == []
    said("--network", "net", "--", "/no/such", code=127)
    tun = said("--network", "far", "--", "sh", "-c", "ip -d link show {link}; ip route show {address}")
    assert "tun" in tun
    assert "10.2.0.2" in tun
    assert "nobody" in said("--network", "net", "--user", "nobody", "--", "sh", "-c", "id -un; : <&{fd}")
    assert "run-1" in said("--network", "net", "--", "cat", "/run/guestwire/p/dhcp.net.names")  # DHCP knows it too


def test_a_namespace_of_its_own(host: Sandbox) -> None:
    before = host.snapshot()
    reaches = "until ping -c1 -W1 10.1.0.2; do :; done"
    script = f"ip -br address show eth0; {reaches}; ls -d /sys/class/net/eth0; cat /etc/resolv.conf"
    done = host.guestwire("run", "--network", "net", "--namespace", "--", "sh", "-euc", script)
    assert "10.1.0.3/24" in done.stdout
    assert "nameserver 10.1.0.1" in done.stdout
    assert host.snapshot() == before


def test_macvtap_by_number_and_by_a_namespace(sandbox: Sandbox) -> None:
    sandbox.sh("ip link add up0 type veth peer name out; ip link set out up; ip link set up0 up")
    sandbox.sh("ip address add 192.0.2.10/24 dev up0")
    sandbox.write("name: p\nnetworks: {net: {type: macvtap, uplink: up0}}")
    sandbox.guestwire("up")
    before = sandbox.snapshot()
    script = "import fcntl, os, sys; print(fcntl.ioctl(3, 0x8927, bytes(40))[18:24].hex(':'))"
    words = ("--network", "net", "--address", "192.0.2.70/24", "--mac", "52:54:00:00:00:09", "--")
    assert sandbox.guestwire("run", *words, sys.executable, "-c", script).stdout == "52:54:00:00:00:09\n"
    found = sandbox.guestwire("run", "--namespace", *words, "ip", "-d", "address", "show", "eth0").stdout
    assert "macvlan mode bridge" in found
    assert "192.0.2.70/24" in found
    assert sandbox.snapshot() == before
    sandbox.guestwire("down")


def test_several_networks(host: Sandbox) -> None:
    before = host.snapshot()
    words = ("--network", "net", "--network", "far", "--mac", "52:54:00:00:00:09", "--address", "10.1.0.77")
    asked = "{fd} {fds:net} {fd:far} {mac} {address:far} {network:far} {{fd:far}}"
    script = 'echo "$@" $LISTEN_FDS $LISTEN_FDNAMES; ip -br link show {link:far} >&2; : <&3 <&4'
    ran = host.guestwire("run", "--json", *words, "--", "sh", "-euc", script, "sh", *asked.split())
    assert ran.stderr.startswith("3 3 4 52:54:00:00:00:09 10.2.0.2 far {fd:far} 2 net:far\n")
    assert "p-run-1.1" in ran.stderr
    told = json.loads(ran.stdout)
    assert (told["guest"], told["code"], told["left"]) == ("run-1", 0, None)
    assert [(nic["network"], nic["device"], nic["addresses"]) for nic in told["nics"]] == [
        ("net", "tap", ["10.1.0.77/24"]),
        ("far", "tun", ["10.2.0.2/32"]),
    ]
    inside = host.guestwire("run", *words[:4], "--namespace", "--", "ip", "-br", "address").stdout
    assert "10.1.0.3/24" in inside
    assert "10.2.0.2/32" in inside
    assert host.snapshot() == before


LAN = """
ip netns add lan; ip link add up0 type veth peer name eth0 netns lan; ip link set up0 up
ip -n lan link set lo up; ip -n lan address add 192.0.2.1/24 dev eth0; ip -n lan link set eth0 up
while ip -n lan link show eth0 | grep -q NO-CARRIER; do sleep 0.05; done
"""


def test_on_a_real_lan(sandbox: Sandbox) -> None:
    """Its DHCP gives a namespace an address before the command begins; who holds a descriptor must be told one."""
    sandbox.sh(
        f"{LAN}\nip netns exec lan dnsmasq --port=0 --interface=eth0 --dhcp-range=192.0.2.100,192.0.2.150 "
        "--no-ping --leasefile-ro --conf-file=/dev/null --pid-file=/run/lan.pid"
    )
    sandbox.write("name: p\nnetworks: {direct: {type: macvtap, uplink: up0}}\n")
    sandbox.guestwire("up")
    before = sandbox.snapshot()
    done = sandbox.guestwire("run", "--network", "direct", "--", "touch", "{address}", check=False)
    assert (done.returncode, "Say one: `--address ADDRESS`" in done.stderr) == (64, True)
    done = sandbox.guestwire("run", "--network", "direct", "--namespace", "--", "ip", "-br", "address", "show", "eth0")
    assert "192.0.2.1" in done.stdout
    assert sandbox.snapshot() == before


@pytest.mark.slow
def test_a_machine_boots_on_two_descriptors(sandbox: Sandbox) -> None:
    """QEMU gets a tap on a bridge and a macvtap on the LAN by their numbers, and its guest answers on both."""
    sandbox.sh(LAN)
    sandbox.write(
        "name: p\nnetworks: {net: {type: bridge, subnet: 10.1.0.0/24}, direct: {type: macvtap, uplink: up0}}\n"
    )
    sandbox.guestwire("up")
    before = sandbox.snapshot()
    macs = ("52:54:00:00:00:01", "52:54:00:00:00:02")
    nics = f"nic={macs[0]},10.1.0.77/24 nic={macs[1]},192.0.2.77/24"
    qemu = ["qemu-system-x86_64", "-nodefaults", "-display", "none", "-M", "pc", "-accel", "tcg", "-m", "128"]
    qemu += ["-kernel", str(kernel()), "-initrd", str(initramfs()), "-append", f"{APPEND} {nics}"]
    for number, network in enumerate(("net", "direct")):
        qemu += ["-netdev", f"tap,id=n{number},fd={{fd:{network}}}"]
        qemu += ["-device", f"virtio-net-pci,netdev=n{number},mac={{mac:{network}}}"]
    words = ["--network", "net", "--network", "direct", "--vnet-header", "--mac", macs[0], "--mac", macs[1]]
    command = sandbox.inside(sys.executable, "-m", "guestwire", "run", *words, "--", *qemu)
    env = {**os.environ, "PYTHONPATH": str(SOURCE)}
    with subprocess.Popen(command, cwd=sandbox.folder, env=env) as running, ended(running):
        sandbox.sh("until ping -q -c1 -W1 10.1.0.77; do :; done")
        sandbox.sh("until ip netns exec lan ping -q -c1 -W1 192.0.2.77; do :; done")
        sandbox.sh("kill $(pidof qemu-system-x86_64)")
        assert running.wait(30) == 0
    assert sandbox.snapshot() == before


def test_killed_it_leaves_the_program_its_nic_and_then_nothing(host: Sandbox) -> None:
    before = host.snapshot()
    with answering(host) as (running, pid):
        host.kill(f"$(ps -o ppid= -p {pid})")
        running.wait(60)
        assert host.answers("10.1.0.3")
        assert host.json("up")["changes"] == []  # it is the program's, which runs yet
        assert host.json("status")["guests"][1]["pid"] == pid
        host.kill(pid, "TERM")
    assert "run-1" not in host.sh("ip link")  # the tap went with its program
    host.guestwire("up")
    assert host.snapshot()["links of "] == before["links of "]
    assert host.snapshot()["files"] == before["files"]
    assert json.loads(Path(f"/proc/{host.pid}/root/run/guestwire/p/state.json").read_text())["programs"] == []
    host.guestwire("down")


def test_what_a_killed_one_leaves_of_a_namespace_goes_with_the_next_up(host: Sandbox) -> None:
    before = host.snapshot()
    words = host.inside(sys.executable, "-m", "guestwire", "run", "--network", "net", "--namespace", "--")
    env = {**os.environ, "PYTHONPATH": str(SOURCE)}
    command = [*words, "sh", "-c", "echo $PPID $$; exec sleep 600"]
    with (
        subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=host.folder, env=env) as running,
        ended(running),
    ):
        assert running.stdout
        first, pid = running.stdout.readline().split()
        host.kill(f"{first} {pid}")
    assert {step["action"] for step in host.json("status")["drift"]} == {"delete", "change"}
    host.guestwire("up")
    after = host.snapshot()
    assert {key: told for key, told in after.items() if key != "processes"} == {
        key: told for key, told in before.items() if key != "processes"
    }
    host.guestwire("down")


@pytest.mark.parametrize("fault", ["kill:2", "EBUSY:2", "kill:5", "EBUSY:5"])
def test_broken_off_it_runs_nothing_and_leaves_nothing(host: Sandbox, fault: str) -> None:
    before = host.snapshot()
    done = host.guestwire("run", "--network", "net", "--", "touch", "ran", check=False, env={"GUESTWIRE_FAULT": fault})
    host.guestwire("rollback")
    host.guestwire("up")
    assert host.snapshot() == before
    assert done.returncode in (-9, 71)
    assert not (host.folder / "ran").exists()


def test_down_meanwhile_and_watch_beside_it(host: Sandbox) -> None:
    with watching(host) as watch, answering(host) as (running, pid):
        assert host.answers("10.1.0.3")
        watch.breaks("ip link set p-run-1.0 nomaster", "p-run-1.0, master")
        assert host.answers("10.1.0.3")
        host.sh(f"kill $(ps -o ppid= -p {pid})")
        assert running.wait(60) == 128 + 15
        assert "p-run-1.0" not in host.sh("ip link")
        assert watch.stop() == 0
    with answering(host) as (running, _):
        host.guestwire("down")
        assert "p-" not in host.sh("ip -o link")
        assert running.wait(60) == 1  # reading from a NIC that has gone it ends by itself
    assert not host.sh("find /run/guestwire -type f 2>/dev/null || true")


def test_what_cant_be_is_said(host: Sandbox) -> None:
    before = host.snapshot()
    for words, code, said in (
        (("--network", "nett"), 64, 'project p has no network "nett". Did you mean net?'),
        (("--network", "net", "--device", "macvtap"), 64, "--device can be tap, namespace there"),
        (("--network", "net", "--address", "10.1.0.2"), 64, "--address 10.1.0.2 is guest web's"),
        (("--network", "net", "--address", "10.1"), 64, "--address: "),
        (("--network", "net", "--mac", "nonsense"), 64, "--mac: "),
        (("--network", "net", "--name", "web"), 64, "there is a guest web already"),
        (("--network", "net", "--queues", "0"), 64, "no number of queues"),
        (("--network", "net", "--network", "net"), 64, "a network is named twice"),
        (("--network", "net", "--mac", "52:54:00:00:00:01", "--mac", "52:54:00:00:00:02"), 64, "more --mac than"),
        (("--network", "net", "--namespace", "--queues", "2"), 64, "a namespace has a link"),
        (("--network", "net", "--user", "nobody-at-all"), 64, "there is no user"),
        ((), 64, "--network"),
    ):
        done = host.guestwire("run", *words, "--", "touch", "ran", check=False)
        assert (done.returncode, said in done.stderr) == (code, True), done.stderr
    done = host.guestwire("run", "--network", "net", "--namespace", "--", "echo", "{fd}", check=False)
    assert (done.returncode, "{fd} stands in the command, and there is none." in done.stderr) == (64, True)
    assert host.snapshot() == before
    assert not (host.folder / "ran").exists()
    host.sh("ip link delete p-net")
    done = host.guestwire("run", "--network", "net", "--", "true", check=False)
    assert (done.returncode, "network net isn't up" in done.stderr) == (65, True)
    host.guestwire("down")
    done = host.guestwire("run", "--network", "net", "--", "true", check=False)
    assert (done.returncode, "project p is not up" in done.stderr) == (65, True)


@pytest.mark.parametrize("name", ["lan", "Host", "a b", "web-1"])
def test_a_name_that_is_somebody_elses_is_refused(name: str, sandbox: Sandbox) -> None:
    sandbox.write("name: p\nnetworks: {n: {type: bridge, subnet: 10.1.0.0/24}}\nguests: {web: {count: 2, nics: [n]}}\n")
    sandbox.guestwire("up", "--lab")
    refused = sandbox.guestwire("run", "--network", "n", "--name", name, "--namespace", "--", "true", check=False)
    assert refused.returncode == 64
    assert name in refused.stderr
    assert sandbox.json("status")["drift"] == []
    sandbox.guestwire("down")
