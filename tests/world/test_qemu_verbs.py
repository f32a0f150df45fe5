"""A virtual machine is talked to: by console, log and guest agent; is measured from; is told by a seed who it is."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests.machine.debian import package
from tests.machine.guest import APPEND, disk, initramfs, kernel
from tests.sandbox import SOURCE, Sandbox
from tests.world.consoles import folder, idle, logged, machine
from tests.world.terminals import Terminal, asked_to_end

SECRET = "hunter2"
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHhqU1wZ me@here"
FILE = f"""
name: lab
networks:
  lan: {{type: bridge, subnet: [10.77.0.0/24, "fd00:77::/64"], nat: true}}
guests:
  web: {{nics: [lan]}}
  vm:
    kind: qemu
    kernel: {kernel()}
    initramfs: {initramfs(agent=True)}
    append: {APPEND} nic=eth0,10.77.0.3/24,fd00:77::3/64,via=10.77.0.1,via=fd00:77::1
    memory: 160M
    nics: [{{network: lan, address: [10.77.0.3, "fd00:77::3"]}}]
    dns: 10.77.0.53
    cloud-init: {{user: alice, ssh-keys: me.pub}}
    user-data: |
      #cloud-config
      password: {SECRET}
  mute: {machine("[{network: lan, address: 10.77.0.4}]", "nic=eth0,10.77.0.4/24")}
expect:
  - vm reaches web
  - vm reaches web on tcp/5432
  - vm reaches internet
  - vm does not reach mute on tcp/81
  - web reaches vm
"""
IDLE = """
name: lab
networks:
  lan: {type: bridge, subnet: 10.77.0.0/24}
guests:
  web: {nics: [lan]}
  vm: {kind: qemu, image: disk, memory: 16M, nics: [lan]}
"""


def background(sandbox: Sandbox, *words: str, **more: Any) -> subprocess.Popen[bytes]:
    """A command of guestwire's that goes on beside the test."""
    environment = {**os.environ, "PYTHONPATH": str(SOURCE)}
    command = sandbox.inside(sys.executable, "-m", "guestwire", *words)
    more = {"stdin": subprocess.DEVNULL, **more}
    return subprocess.Popen(command, cwd=sandbox.folder, env=environment, **more)


@pytest.mark.timeout(300)  # some forty commands, and two machines that boot without KVM beside other tests
def test_machines_are_talked_to(sandbox: Sandbox) -> None:
    """Booted once, and talked to in all ways."""
    (sandbox.folder / "me.pub").write_text(f"{KEY}\n")
    sandbox.write(FILE)
    before = sandbox.snapshot()
    said = sandbox.guestwire("plan", "--lab", "--commands")
    up = sandbox.guestwire("up", "--lab", "--keep")
    assert SECRET not in said.stdout + said.stderr + up.stdout + up.stderr
    for guest in ("vm", "mute"):
        logged(sandbox, guest, "guest: up\n")
    _exec_runs_commands(sandbox)
    _a_command_is_interrupted(sandbox)
    _without_an_agent_exec_says_so(sandbox)
    _the_seed_is_read_inside(sandbox)
    _check_measures_from_inside(sandbox)
    _frames_are_seen_on_the_host(sandbox)
    _a_person_types_at_the_console(sandbox)
    _the_console_works_with_pipes(sandbox)
    sandbox.guestwire("down")
    assert sandbox.snapshot() == before


def _exec_runs_commands(sandbox: Sandbox) -> None:
    done = sandbox.guestwire("exec", "lab/vm", "--", "sh", "-c", "cat; echo aside >&2; exit 7", check=False)
    assert (done.returncode, done.stdout, done.stderr) == (7, "", "aside\n")
    done = sandbox.run(sys.executable, "-m", "guestwire", "exec", "vm", "--", "tr", "a-z", "A-Z", text="piped in\n")
    assert done.stdout == "PIPED IN\n"
    done = sandbox.guestwire("exec", "vm", "--", "no-such-program", check=False)
    assert (done.returncode, done.stderr) == (127, "no-such-program: command not found\n")
    assert sandbox.guestwire("exec", "vm", "--", "/etc", check=False).returncode == 126
    # One that takes its time doesn't keep the agent from others.
    with background(sandbox, "exec", "vm", "--", "sh", "-c", "sleep 3; echo late", stdout=subprocess.PIPE) as slow:
        assert sandbox.guestwire("exec", "vm", "--", "echo", "meanwhile").stdout == "meanwhile\n"
        assert slow.communicate(timeout=30)[0] == b"late\n"


def _a_command_is_interrupted(sandbox: Sandbox) -> None:
    with background(sandbox, "exec", "vm", "--", "sleep", "77", stderr=subprocess.PIPE) as process:
        running = ("exec", "vm", "--", "sh", "-c", "ps | grep '[s]leep 77'")
        end = time.monotonic() + 30
        while not sandbox.guestwire(*running, check=False).stdout:
            assert time.monotonic() < end
        assert asked_to_end(process) == 130
    while sandbox.guestwire(*running, check=False).stdout:
        assert time.monotonic() < end + 30, "the command goes on without us"


def _without_an_agent_exec_says_so(sandbox: Sandbox) -> None:
    done = sandbox.guestwire("exec", "--wait", "1", "mute", "--", "true", check=False)
    assert done.returncode == 69
    assert "no guest agent answers in mute within 1 s" in done.stderr
    assert "guestwire console mute" in done.stderr
    status = {each["name"]: each for each in sandbox.json("status")["guests"]}
    assert (status["vm"]["machine"]["agent"], status["mute"]["machine"]["agent"]) == (True, False)
    assert status["vm"]["machine"]["accelerator"] in ("kvm", "tcg")
    assert status["vm"]["machine"]["accelerator_why"]


def _the_seed_is_read_inside(sandbox: Sandbox) -> None:
    assert "user-data" not in str(sandbox.json("status"))
    script = (
        "mount -t iso9660 -o ro $(findfs LABEL=cidata) /tmp; cd /tmp; tail -n +1 *-data network-config; umount -l /tmp"
    )
    told = sandbox.guestwire("exec", "vm", "--", "sh", "-c", script).stdout
    assert f"#cloud-config\npassword: {SECRET}\n" in told
    assert "local-hostname: vm\n" in told
    assert f"#cloud-config\nuser: alice\nssh_authorized_keys:\n- {KEY}\n" in told
    mac = next(each for each in sandbox.json("status")["guests"] if each["name"] == "vm")["nics"][0]["mac"]
    for line in (
        f"macaddress: {mac}",
        "- 10.77.0.3/24",
        "- fd00:77::3/64",
        "gateway4: 10.77.0.1",
        "gateway6: fd00:77::1",
    ):
        assert f" {line}\n" in told
    assert "nameservers:\n      addresses:\n      - 10.77.0.53\n" in told
    changed = sandbox.write(FILE.replace(SECRET, f"{SECRET}3"))
    said = sandbox.guestwire("up", "--keep")
    assert "changed 1 seed" in said.stdout
    assert "guest vm reads at its next boot what is new for its cloud-init" in said.stderr
    changed.write_text(FILE)
    plan = sandbox.json("plan")["changes"]
    assert [(each["action"], each["kind"]) for each in plan] == [("change", "seed")]


def _check_measures_from_inside(sandbox: Sandbox) -> None:
    report = sandbox.json("check")
    from_vm = {(pair["to"], pair["family"]): pair["measured"] for pair in report["pairs"] if pair["from"] == "vm"}
    assert from_vm.pop(("mute", 4))
    assert all(from_vm[to, family] for to in ("web", "host", "lan", "gateway", "internet") for family in (4, 6))
    assert all(pair["measured"] is None for pair in report["pairs"] if pair["from"] == "mute")
    assert {each["text"]: each["held"] for each in report["expectations"]} == {
        "vm reaches web": True,
        "vm reaches web on tcp/5432": True,
        "vm reaches internet": True,
        "vm does not reach mute on tcp/81": True,
        "web reaches vm": True,
    }


def _frames_are_seen_on_the_host(sandbox: Sandbox) -> None:
    with background(sandbox, "pcap", "vm:eth0", "--count", "4", stdout=subprocess.PIPE) as capturing:
        assert capturing.stdout is not None
        head = capturing.stdout.read(24)  # the file's own, once it listens
        sandbox.guestwire("exec", "web", "--", "ping", "-c", "4", "-i", "0.2", "10.77.0.3")
        frames = head + capturing.communicate(timeout=30)[0]
    shown = subprocess.run(["tcpdump", "-nr", "-"], input=frames, capture_output=True, check=True).stdout.decode()
    assert "10.77.0.2 > 10.77.0.3: ICMP echo request" in shown
    assert "It has eth0" in sandbox.guestwire("pcap", "vm:eth9", check=False).stderr


def _a_person_types_at_the_console(sandbox: Sandbox) -> None:
    with Terminal(sandbox, "console", "vm") as first:
        first.until("vm's console. Ctrl-] leaves it.\n")
        first.type("\r")
        first.until("guest# ")
        first.type("echo so''lved\r")
        first.until("solved\n")
        assert first.now != first.before, "it isn't raw"
        second = sandbox.guestwire("console", "vm", check=False)
        assert second.returncode == 75
        assert "in use: it has room for one" in second.stderr
        first.type("echo be''gun; sleep 60\r")
        first.until("begun\n")  # sooner Ctrl-C would be a character for the shell's own line
        first.type("\x03")  # it is the guest's
        first.until("guest# ")
        first.type("\x1d")
        first.until("vm runs on.\n")
        assert first.process.wait(60) == 0
        assert first.now == first.before
    with Terminal(sandbox, "console", "vm") as again:
        again.until("guest# ")  # the prompt that stood there
        assert again.asked_to_end() == 130
        assert again.now == again.before


def _the_console_works_with_pipes(sandbox: Sandbox) -> None:
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with background(sandbox, "console", "vm", "--quiet", **pipes) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(b"echo pip''ed\n")
        process.stdin.close()
        while b"piped" not in process.stdout.readline():
            assert process.poll() is None
        assert asked_to_end(process) == 130


def test_a_log_is_followed_until_its_machine_ends(sandbox: Sandbox) -> None:
    idle(sandbox.folder / "disk")
    sandbox.write(IDLE)
    sandbox.guestwire("up", "--lab")
    lines = sandbox.json("logs", "vm")["lines"]  # a BIOS has no words for a serial console
    with background(sandbox, "logs", "vm", "--follow", stdout=subprocess.PIPE) as following:
        assert following.stdout is not None
        with open(f"{folder(sandbox, 'vm')}/log", "a") as log:
            log.write("\x1b[2J\x1b[1;31mred\x1b[0m alert\r\nunfinished")
        assert following.stdout.readline() == b"red alert\n"
        assert sandbox.json("logs", "vm", "--lines", "1")["lines"] == ["unfinished"]
        assert sandbox.json("logs", "vm")["lines"] == [*lines, "red alert", "unfinished"]
        sandbox.guestwire("down")
        assert following.wait(60) == 0


def test_a_machine_that_is_none_or_dead_says_so(sandbox: Sandbox) -> None:
    idle(sandbox.folder / "disk")
    sandbox.write(IDLE)
    assert "there is no guest vm" in sandbox.guestwire("console", "vm", check=False).stderr
    sandbox.guestwire("up", "--lab")
    for verb in ("console", "logs"):
        done = sandbox.guestwire(verb, "web", check=False)
        assert done.returncode == 64
        assert "web is a network namespace: it has no console" in done.stderr
    with background(sandbox, "console", "vm", "--json", stdout=subprocess.PIPE, stderr=subprocess.PIPE) as attached:
        assert attached.stdout is not None
        assert attached.stderr is not None
        assert b"vm's console" in attached.stderr.readline()
        sandbox.kill("$(cat /run/guestwire/lab/vm.vm/pid)")
        assert json.loads(attached.stdout.read()) == {"guest": "vm", "runs": False}
        assert attached.wait(60) == 0
    for words in (("console", "vm"), ("exec", "vm", "--", "true")):
        done = sandbox.guestwire(*words, check=False)
        assert done.returncode == 69
        assert "the QEMU of vm has ended" in done.stderr
        assert "`guestwire up` starts it anew" in done.stderr
    assert sandbox.json("logs", "vm", "--qemu")["guest"] == "vm"
    sandbox.guestwire("down")


def test_a_disk_starts_under_uefi(sandbox: Sandbox) -> None:
    text = IDLE.replace("image: disk, memory: 16M", f"image: {disk()}, memory: 256M, firmware: uefi")
    sandbox.write(text)
    sandbox.sh("mkdir -p /etc/qemu/firmware")
    # What else is installed must be hidden: a name in /etc hides its namesake.
    sandbox.sh("for f in /usr/share/qemu/firmware/*.json; do [ ! -e $f ] || echo {} >/etc/qemu/firmware/${f##*/}; done")
    installed = Path("/usr/share/OVMF/OVMF_CODE_4M.fd").exists()
    if not installed:
        done = sandbox.guestwire("up", "--lab", check=False)
        assert done.returncode == 69
        assert "there is no UEFI firmware for guest vm" in done.stderr
        assert "Install the package ovmf" in done.stderr
    ovmf = package("ovmf")
    sandbox.sh(
        f"cp {ovmf}/usr/share/qemu/firmware/*.json /etc/qemu/firmware/ && "
        f"sed -i s,/usr/share/OVMF,{ovmf}/usr/share/OVMF, /etc/qemu/firmware/*.json"
    )
    before = sandbox.snapshot()
    sandbox.guestwire("up", "--lab")
    logged(sandbox, "vm", "guest: up\n")
    assert "efi" in sandbox.guestwire("exec", "vm", "--", "ls", "/sys/firmware").stdout.split()
    sandbox.guestwire("down")
    assert sandbox.snapshot() == before


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ("user-data: |\n      packages: [x]\n", "starts with nothing that cloud-init knows"),
        (f"user-data: |\n      #cloud-config\n      password: [{SECRET}\n", "user-data is no YAML, in its line"),
        (f"user-data: |\n      #cloud-config\n      - {SECRET}\n", "user-data has no keys and values"),
        ("user-data: nowhere\n", "nowhere can't be opened: No such file or directory"),
        ("cloud-init: {ssh-keys: private}\n", "is a private key, which stays with you. Write private.pub."),
        ("cloud-init: {ssh-keys: disk}\n", "holds something else than public keys"),
        ("cloud-init: {usr: me}\n", "user"),
        ("accel: xen\n", "accel"),
        ("firmware: coreboot\n", "firmware"),
    ],
)
def test_what_a_machine_is_told_wrongly(sandbox: Sandbox, keys: str, said: str) -> None:
    idle(sandbox.folder / "disk")
    (sandbox.folder / "private").write_text(f"-----BEGIN OPENSSH PRIVATE KEY-----\n{SECRET}\n")
    text = IDLE.replace(
        "{kind: qemu, image: disk, memory: 16M, nics: [lan]}",
        "\n    kind: qemu\n    image: disk\n    nics: [lan]",
    )
    sandbox.write(f"{text}    {keys}")
    done = sandbox.guestwire("plan", "--lab", check=False)
    assert done.returncode == 65, done.stdout + done.stderr
    assert "guestwire.yaml:" in done.stderr
    assert said in done.stderr
    assert SECRET not in done.stderr
