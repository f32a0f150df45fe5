"""The scripts of docs/scripts.md, typed, make what the file beside them makes."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.sandbox import Sandbox, sandboxed
from tests.world.consoles import idle

PAGE = Path(__file__).parents[2] / "docs" / "scripts.md"
BLOCK = re.compile(r"^<!-- (typed|file): (\w+) -->\n```\w+\n(.*?)^```$", re.M | re.S)
BLOCKS = {(found[1], found[2]): found[3] for found in BLOCK.finditer(PAGE.read_text(encoding="utf-8"))}
NAMES = {"p-lan": "br0", "p-vm.0": "macvtap0", "demo-lan": "br0", "demo-web.0": "veth0"}
"""What guestwire calls a link, and the script."""
NIC = """
ip netns add out; ip link add eth0 type veth peer name far netns out
ip link set eth0 address 02:00:00:00:00:01; ip link set eth0 up; ip -n out link set far up
"""
SEEN = """
import json, sys
from dataclasses import fields
from guestwire.kinds import Link
from guestwire.kinds.address import Address
from guestwire.linux.kernel import Kernel
from guestwire.linux import namespaces
from guestwire.observe import observe
with Kernel() as kernel:
    seen = observe(kernel, "", [name for name in namespaces.names() if name != "out"])
links = {}
for link in seen.of(Link):
    beside = {name: getattr(link, name, None) for name in ("mode", "device", "tun", "peer", "parent")}
    links[f"{link.netns}/{link.name}"] = [link.KIND, link.up, link.master, beside]
addresses = sorted(f"{a.netns}/{a.link} {a.interface}" for a in seen.of(Address) if not a.address.startswith("fe80"))
print(json.dumps([links, addresses]))
"""
TYPED_MONITOR = """
import socket
qemu = socket.socket(socket.AF_UNIX)
qemu.settimeout(30)
qemu.connect("network-11586/MonSock")
qemu.sendall(b"info network\\ninfo block\\nquit\\n")
print(qemu.makefile().read())
"""
MONITOR = """
from guestwire.daemons.qmp import Monitor
with Monitor("/run/guestwire/p/vm.vm/qmp") as qmp:
    for asked in ("info network", "info block"):
        print(qmp.ask("human-monitor-command", {"command-line": asked}))
"""


@pytest.fixture
def second(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    """Another machine beside `sandbox`."""
    with sandboxed(tmp_path_factory.mktemp("second")) as machine:
        yield machine


def links_and_addresses(sandbox: Sandbox) -> Any:
    """The links and addresses that are there, under the script's names."""
    told = sandbox.python(SEEN).stdout
    for ours, theirs in NAMES.items():
        told = told.replace(f'"{ours}"', f'"{theirs}"').replace(f"/{ours}", f"/{theirs}")
    return json.loads(told)


def of_host(sandbox: Sandbox) -> dict[str, str]:
    """What is there but for the outside, whose carrier comes when it comes."""
    return {key: told for key, told in sandbox.snapshot().items() if not key.endswith(" out")}


@pytest.mark.parametrize("name", [name for kind, name in BLOCKS if kind == "typed" and name != "machine"])
def test_a_file_makes_what_the_script_makes(sandbox: Sandbox, name: str, second: Sandbox) -> None:
    for machine in (sandbox, second):
        machine.sh(NIC)
    if name == "bridge":
        second.sh("ip address add 172.16.0.100/16 dev eth0")  # the script moves it, by its last line
    sandbox.sh(BLOCKS["typed", name])
    before = of_host(second)
    second.write(BLOCKS["file", name] if name == "veth" else "name: p\n" + BLOCKS["file", name])
    second.guestwire("up", "--no-guard")
    assert links_and_addresses(second) == links_and_addresses(sandbox)
    assert second.json("status")["drift"] == []
    second.guestwire("down")
    assert of_host(second) == before


def test_the_host_is_beside_its_guests(sandbox: Sandbox) -> None:
    sandbox.sh(f"{NIC}\nip address add 172.16.100.101/24 dev eth0")
    before = of_host(sandbox)
    sandbox.write("name: p\n" + BLOCKS["file", "host"])
    sandbox.guestwire("up", "--no-guard")
    assert sandbox.json("check")["held"] is True
    sandbox.guestwire("down")
    assert of_host(sandbox) == before


def test_a_file_starts_the_machine_that_the_script_starts(sandbox: Sandbox, second: Sandbox) -> None:
    """Without KVM and vhost; and with a node of the test's own, since those in /dev are not of this namespace."""
    script = BLOCKS["typed", "machine"].replace("-enable-kvm", "-accel tcg").replace(",vhost=on", "")
    node = f"{sandbox.folder}/node"
    script = script.replace("/dev/tap$(cat /sys/class/net/macvtap0/ifindex)", node)
    made = f"mknod {node} c $(cat /sys/class/net/macvtap0/tap*/dev | tr : ' ')\nqemu-system"
    for machine in (sandbox, second):
        machine.sh(f"{NIC}\nmount -t sysfs none /sys")
        idle(machine.folder / "MacVlan0.img")
    sandbox.sh("mkdir network-11586\n" + script.replace("qemu-system", made, 1))
    second.write("name: p\n" + BLOCKS["file", "machine"])
    second.guestwire("up", "--no-guard")
    assert links_and_addresses(second) == links_and_addresses(sandbox)
    typed = re.sub(r"\x1b\[[KD]", "", sandbox.python(TYPED_MONITOR).stdout)
    ours = second.python(MONITOR).stdout
    for said in (typed, ours):
        assert "type=nic,model=virtio-net-pci,macaddr=52:54:00:b8:9c:58" in said
        assert re.search(r"\(raw\)\s", said), "written to"
    second.guestwire("down")


def test_qemu_takes_the_number_that_it_is_given(sandbox: Sandbox) -> None:
    """The line of the page with a machine that isn't started; its monitor says what it has."""
    line = re.search(r"guestwire run (--network lan -- .*) vm\.img", PAGE.read_text(encoding="utf-8"))
    assert line
    sandbox.sh(NIC)
    sandbox.write("name: p\nnetworks: {lan: {type: macvtap, uplink: eth0}}")
    sandbox.guestwire("up", "--no-guard")
    words = [*line[1].split(), "-nodefaults", "-display", "none", "-S", "-monitor", "stdio", "-accel", "tcg"]
    done = sandbox.run("sh", "-c", 'printf "info network\\nquit\\n" | "$@"', "sh", *guestwire_words(words), seconds=60)
    assert "n: index=0,type=tap,fd=3" in done.stdout, done.stdout
    assert "p-run-1" not in sandbox.sh("ip link")
    sandbox.guestwire("down")


def guestwire_words(words: list[str]) -> list[str]:
    """A command line of guestwire's `run`."""
    return [sys.executable, "-m", "guestwire", "run", *words]
