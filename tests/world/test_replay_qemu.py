"""The commands that start virtual machines, plug them in and end them, run by a shell, give the same as guestwire does.

They are what a person types for QEMU, so QEMU isn't handed descriptors but opens all by name as root, and its process
has other words. Equal are the picture, but for a seed's bytes, which another program has put in order; and what QEMU
itself says of the machine.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.machine.debian import package
from tests.sandbox import Sandbox
from tests.world.consoles import idle, logged, machine
from tests.world.files import UPLINKS
from tests.world.test_replay import COMMANDS_OF_DOWN, assert_same, replay

NET = """
name: {name}
networks:
  net: {{type: bridge, subnet: 10.77.0.0/24}}
  direct: {{type: macvtap, uplink: eth0}}
guests:
  ns: {{nics: [net]}}
"""
IDLE = """
  one:
    kind: qemu
    image: /run/images/top.qcow2
    memory: 16M
    cpus: 2
    nics: [net, {network: direct, address: []}, {network: direct, address: [], queues: 2}, {network: net, queues: 2}]
  two:
    kind: qemu
    image: "/run/images/a, b"
    format: raw
    write: true
    memory: 17M
    user: games
    nics: [{network: net, link: down}, {network: net, model: e1000}]
"""
TOLD = """
  told:
    kind: qemu
    image: /run/images/disk
    memory: 16M
    nics: [net]
    cloud-init: {user: alice}
    user-data: mine
  hidden:
    kind: qemu
    kernel: /run/images/disk
    append: "it's $HOME"
    memory: 16M
    nics: [{network: net, vhost: false}]
    user-data: |
      #cloud-config
      password: 100% secret
"""
MORE = "model: e1000}, net, {network: direct, address: [], queues: 2}, {network: net, queues: 2}"
FIXED, DIRECT = "{network: net, address: 10.77.0.9, queues: 2}", "{network: direct, address: []}"
FACTS = """
import json, sys
from guestwire.daemons.qmp import Monitor
with Monitor(sys.argv[1]) as qmp:
    asked = ("query-name", "query-status", "query-memory-size-summary", "query-kvm", "query-rx-filter", "query-pci")
    found = {command: qmp.ask(command) for command in asked}
    cpus = [cpu["props"] for cpu in qmp.ask("query-cpus-fast")]
    boards = [(each["slot"], each["qdev_id"], each["id"]) for bus in found.pop("query-pci") for each in bus["devices"]]
    there = [(each["qdev"], each["inserted"]) for each in qmp.ask("query-block") if each.get("qdev")]
    disks = [(name, told["ro"], told["drv"], told["backing_file_depth"]) for name, told in there]
    found |= {"cpus": cpus, "boards": boards, "disks": disks}
    found["labels"] = sorted(each["label"] for each in qmp.ask("query-chardev"))
for each in found["query-rx-filter"]:
    del each["main-mac"]
print(json.dumps(found))
"""
RIGHTS = ("Uid", "Gid", "CapPrm", "CapEff", "CapInh", "CapAmb", "NoNewPrivs", "Seccomp")


def facts(sandbox: Sandbox, project: str, guest: str) -> Any:
    """What QEMU says of a machine, and what rights its process has."""
    place = f"/run/guestwire/{project}/{guest}.vm"
    told = json.loads(sandbox.python(FACTS, f"{place}/qmp").stdout)
    lines = sandbox.sh(f"cat /proc/$(cat {place}/pid)/status").splitlines()
    status = dict(line.split(":\t", 1) for line in lines if ":\t" in line)
    return told, {name: status[name].strip() for name in RIGHTS}


@pytest.fixture
def twins(sandbox: Sandbox, second: Sandbox) -> tuple[Sandbox, Sandbox]:
    """Two machines whose users are in the same folder, each with images of its own: a picture has their paths."""
    second.folder = sandbox.folder
    idle(sandbox.folder / "disk")
    (sandbox.folder / "mine").write_text("#cloud-config\n")
    (sandbox.folder / "hidden.user-data").write_text("#cloud-config\npassword: 100% secret\n")
    ovmf = package("ovmf")
    for each in (sandbox, second):
        each.sh(
            "mount -t sysfs none /sys; mkdir -p /run/images /etc/qemu/firmware;"
            "cp -p disk /run/images/disk; cp -p disk '/run/images/a, b'; cd /run/images;"
            "qemu-img create -q -f qcow2 -b disk -F raw middle.qcow2;"
            "qemu-img create -q -f qcow2 -b middle.qcow2 -F qcow2 top.qcow2; touch -d @1 *.qcow2;"
            f"cp {ovmf}/usr/share/qemu/firmware/*.json /etc/qemu/firmware/;"
            f"sed -i s,/usr/share/OVMF,{ovmf}/usr/share/OVMF, /etc/qemu/firmware/*.json"
        )
    return sandbox, second


def test_commands_that_start_machines(twins: tuple[Sandbox, Sandbox]) -> None:
    sandbox, second = twins
    sandbox.write(NET.format(name="typed") + IDLE + TOLD)
    commands = sandbox.guestwire("plan", "--lab", "--commands").stdout
    assert "secret" not in commands
    replay(second, commands)
    sandbox.guestwire("up", "--lab")
    assert_same(sandbox, second)
    assert facts(sandbox, "typed", "one")[0]["disks"][0][3] == 3, "its own, and the three that lie under it"
    for guest in ("one", "two", "told", "hidden"):
        assert facts(second, "typed", guest) == facts(sandbox, "typed", guest)
    assert second.sh("ls /dev | grep guestwire || true") == ""


def test_commands_that_plug_in_nics_on_a_host(twins: tuple[Sandbox, Sandbox]) -> None:
    sandbox, second = twins
    for each in twins:
        each.sh(UPLINKS)
    for text in (IDLE, IDLE.replace("link: down", "link: up").replace("model: e1000}", MORE)):
        sandbox.write(NET.format(name="mine") + text)
        replay(second, sandbox.guestwire("plan", "--commands").stdout)
        sandbox.guestwire("up")
        assert_same(sandbox, second)
    assert facts(second, "mine", "two") == facts(sandbox, "mine", "two")


@pytest.mark.slow
def test_commands_that_take_a_guest_to_agree(twins: tuple[Sandbox, Sandbox]) -> None:
    """NICs unplugged, a machine begun anew with other memory and user-data, all of it taken down."""
    sandbox, second = twins
    before = [each.snapshot() for each in twins]
    vm = machine(f"[{FIXED}, {DIRECT}]", "nic=eth0,10.77.0.9/24", more="user-data: mine, firmware: uefi").replace(
        "128M", "256M"
    )
    sandbox.write(f"{NET.format(name='three')}  vm: {vm}")
    replay(second, sandbox.guestwire("plan", "--lab", "--commands").stdout)
    sandbox.guestwire("up", "--lab")
    for each in twins:
        logged(each, "vm", "guest: up\n", project="three")
        assert each.answers("10.77.0.9", "three-ns")
    (sandbox.folder / "mine").write_text("#cloud-config\nhostname: other\n")
    for changed in (vm.replace("queues: 2", "model: rtl8139"), vm.replace("256M", "288M").replace(f", {DIRECT}", "")):
        sandbox.write(f"{NET.format(name='three')}  vm: {changed}")
        replay(second, sandbox.guestwire("plan", "--commands").stdout)
        sandbox.guestwire("up")
        assert_same(sandbox, second)
        assert facts(second, "three", "vm") == facts(sandbox, "three", "vm")
    replay(second, sandbox.python(COMMANDS_OF_DOWN).stdout)
    assert_same(sandbox, second)
    for each, seen in zip(twins, before, strict=True):
        now = each.snapshot()
        assert [name for name in now if now[name] != seen[name]] == (["files"] if each is second else [])
    assert second.sh("find /run/guestwire ! -type d") == ""
