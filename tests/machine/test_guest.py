"""The guests that tests boot do what is said of them: addresses, NICs that come later, the agent, images, power."""

from __future__ import annotations

import json
import socket
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.machine.debian import package
from tests.machine.guest import Machine, disk, initramfs

AGENT = (
    *("-device", "virtio-serial", "-chardev", "socket,id=agent,server=on,wait=off,path={}"),
    *("-device", "virtserialport,chardev=agent,name=org.qemu.guest_agent.0"),
)


def _say(path: Path, *requests: dict[str, Any]) -> list[Any]:
    """What is returned to requests in JSON lines, as QMP and the agent speak it."""
    with socket.socket(socket.AF_UNIX) as sock, sock.makefile("rw") as lines:
        sock.settimeout(60)
        sock.connect(str(path))
        found = []
        for request in requests:
            lines.write(json.dumps(request) + "\n")
            lines.flush()
            while "return" not in (answer := json.loads(lines.readline())):
                assert "error" not in answer, answer
            found.append(answer["return"])
        return found


@pytest.fixture
def cable(tmp_path: Path) -> list[str]:
    """The two ends of a cable between QEMUs, as -netdev takes them."""
    path = f"addr.type=unix,addr.path={tmp_path / 'cable'}"
    return [f"stream,id=n,server=on,{path}", f"stream,id=n,server=off,{path}"]


def test_guests_have_the_addresses_they_are_told_and_nics_may_come_later(tmp_path: Path, cable: list[str]) -> None:
    qmp = tmp_path / "qmp"
    first = ("-netdev", cable[0], "-device", "virtio-net-pci,netdev=n,mac=52:54:00:00:00:01")
    second = ("-netdev", cable[1], "-qmp", f"unix:{qmp},server=on,wait=off")
    with ExitStack() as stack:
        one = stack.enter_context(Machine(*first, append="nic=eth0,192.0.2.1/24,2001:db8::1/64"))
        one.ready()
        two = stack.enter_context(Machine(*second, append="nic=52:54:00:00:00:02,192.0.2.2/24,2001:db8::2/64,mtu=1400"))
        two.ready()
        device = {"driver": "virtio-net-pci", "netdev": "n", "mac": "52:54:00:00:00:02"}
        _say(qmp, {"execute": "qmp_capabilities"}, {"execute": "device_add", "arguments": device})
        two.until("guest: eth0 is set up")
        assert "0% packet loss" in two.run("ping -c 1 -w 20 192.0.2.1")
        assert "0% packet loss" in one.run("ping -c 1 -w 20 2001:db8::2")
        assert "mtu 1400" in two.run("ip link show eth0")
        _say(qmp, {"execute": "qmp_capabilities"}, {"execute": "system_powerdown"})
        assert two.process.wait(30) == 0


def test_the_agent_answers(tmp_path: Path) -> None:
    agent = tmp_path / "agent"
    words = [word.format(agent) for word in AGENT]
    with Machine(*words, "-initrd", str(initramfs(agent=True)), memory=192) as guest:
        guest.ready()
        started = {"execute": "guest-exec", "arguments": {"path": "hostname", "capture-output": True}}
        version, ran = _say(agent, {"execute": "guest-info"}, started)
        assert version["version"]
        assert ran["pid"] > 0


def test_the_image_boots_by_itself() -> None:
    uefi = ("-bios", str(package("ovmf") / "usr/share/ovmf/OVMF.fd"))
    ways: list[tuple[str, tuple[str, ...]]] = [("raw", ()), ("qcow2", ()), ("raw", uefi)]
    with ExitStack() as stack:
        machines = [stack.enter_context(Machine(*words, image=disk(form), memory=256)) for form, words in ways]
        for machine in machines:
            machine.ready()
        found = [machine.run("ls -d /sys/firmware/efi 2>/dev/null") for machine in machines]
        assert found == ["", "", "/sys/firmware/efi\n"]
