"""What is wrong with a virtual machine is said once, in full, before anything is done; or undone with QEMU's words."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from pathlib import Path

import pytest

from tests.sandbox import Sandbox
from tests.trouble.saying import place_of, programs, refused
from tests.world.consoles import idle

HEAD = """\
name: t
networks:
  lan: {type: bridge, subnet: 10.77.0.0/24}
  far: {type: routed, subnet: 10.78.0.0/24}
guests:
"""
NEEDED = ("nft", "dnsmasq", "ip", "sh", "setsid", "setpriv")


@pytest.fixture
def folder(sandbox: Sandbox) -> Path:
    """Files that somebody may take for images; `disk` is one, from which a machine starts that does nothing."""
    there = sandbox.folder
    idle(there / "disk")
    (there / "notes").write_text("shopping\n")
    (there / "packed").write_bytes(b"\xfd7zXZ\0" + bytes(600))
    (there / "cut").write_bytes(b"QFI\xfb\0\0\0\3")
    make = ["qemu-img", "create", "-q", "-f", "qcow2"]
    subprocess.run([*make, "-b", "/etc/shadow", "-F", "raw", "-u", there / "nosy.qcow2", "1M"], check=True)
    (there / "elsewhere").mkdir()
    for name, under in {
        "unsaid": "-b disk -F raw -u",
        "over": "-b under.qcow2 -F qcow2 -u",
        "under": "-b gone.qcow2 -F qcow2 -u",
        "round": "-b round.qcow2 -F qcow2 -u",
        "packed": "-b notes -F vmdk -u",
        "away": "-b elsewhere/../../away -F raw -u",
        "folder": "-b elsewhere -F raw -u",
        "lying": "-b disk -F qcow2 -u",
    }.items():
        subprocess.run([*make, *under.split(), there / f"{name}.qcow2", "1M"], check=True)
    unsaid = (there / "unsaid.qcow2").read_bytes()
    (there / "unsaid.qcow2").write_bytes(unsaid.replace(b"\xe2\x79\x2a\xca", b"\x12\x34\x56\x78"))
    subprocess.run([*make, "-o", f"data_file={there / 'data'}", there / "split.qcow2", "1M"], check=True)
    subprocess.run([*make, there / "forged.img", "1M"], check=True)
    return there


@pytest.mark.parametrize(
    ("guest", "says", "hint"),
    [
        ("  «g: {kind: qemu, nics: [lan]}", "needs an image or a kernel", "image: FILE"),
        ("  g: {kind: qemu, image: «nowhere}", "nowhere can't be opened: No such file", "another file"),
        ("  g: {kind: qemu, image: «notes}", "is no disk image", "another file"),
        ("  g: {kind: qemu, image: «packed}", "it is xz", "unpacked"),
        ("  g: {kind: qemu, image: «cut}", "is cut off", "another file"),
        (
            "  g: {kind: qemu, image: «nosy.qcow2}",
            "has a backing file in another folder, /etc/shadow",
            "qemu-img convert",
        ),
        ("  g: {kind: qemu, image: «away.qcow2}", "has a backing file in another folder, elsewhere/..", "beside it"),
        (
            "  g: {kind: qemu, image: «unsaid.qcow2}",
            "doesn't say of what format disk is",
            "qemu-img rebase -u -b disk -F",
        ),
        ("  g: {kind: qemu, image: «over.qcow2}", "gone.qcow2, which lies under ", "Put it there again"),
        ("  g: {kind: qemu, image: «round.qcow2}", "go round in a circle", "qemu-img convert"),
        ("  g: {kind: qemu, image: «packed.qcow2}", "is no image that can be used, but vmdk", "qemu-img convert"),
        ("  g: {kind: qemu, image: «folder.qcow2}", "can't be opened: Is a directory", "Put it"),
        ("  g: {kind: qemu, image: «lying.qcow2}", "is no qcow2 image", "qemu-img convert"),
        ("  g: {kind: qemu, image: «split.qcow2}", "has its data in another file", "qemu-img convert"),
        ("  g: {kind: qemu, image: «forged.img, write: true}", "which a guest may have written", "format: qcow2"),
        ("  g: {kind: qemu, image: «disk, format: qcow2}", "is no qcow2 image", "format"),
        ("  g: {kind: qemu, image: «.}", "Is a directory", "another file"),
        ("  g: {kind: qemu, kernel: «nowhere}", "kernel", "Write another path"),
        ("  g: {kind: qemu, image: disk, append: «quiet}", "append is a kernel's", "kernel: FILE"),
        ("  g: {kind: qemu, kernel: disk, write: «true}", "write is an image's", "Leave write out"),
        ("  g: {kind: qemu, image: disk, memory: «999999G}", "out of range", "16M"),
        ("  g: {kind: qemu, image: disk, memory: «4096G}", "more than this machine's", "less"),
        ("  g: {kind: qemu, image: disk, memory: «much}", "is no amount of memory", "512M"),
        ("  g: {kind: qemu, image: disk, cpus: «300}", "out of range", "255"),
        ("  g: {kind: qemu, image: disk, user: «nobody-at-all}", "there is no user", "another"),
        (
            "  g: {kind: qemu, count: 3, image: disk, write: «true}",
            "3 guests would write to one image",
            "copy of its own",
        ),
        (
            "  g: {kind: qemu, image: disk, write: «true}\n  h: {kind: qemu, image: disk}",
            "guest h uses the image",
            "copy of its own",
        ),
        ("  g: {kind: qemu, image: disk, nics: [«{network: lan, model: e1000, queues: 2}]}", "has one queue", "virtio"),
        (
            "  g: {kind: qemu, image: disk, nics: [«{network: lan, model: rtl8139, vhost: true}]}",
            "vhost is for",
            "Leave",
        ),
        ("  g: {kind: qemu, image: disk, nics: [{network: far, device: «tun}]}", "has Ethernet", "Leave device out"),
        ("  g: {kind: qemu, image: disk, nics: [{network: lan, gateway: «10.77.0.1}]}", "guest's own affair", "Leave"),
        ("  g: {nics: [{network: lan, model: «e1000}]}", "model is a virtual machine's", "Leave model out"),
    ],
)
def test_a_file_that_is_wrong(sandbox: Sandbox, folder: Path, guest: str, says: str, hint: str) -> None:
    text, at = place_of(HEAD + guest + "\n")
    sandbox.write(text)
    refused(sandbox, "up", "--lab", code=65, says=says, hint=hint, at=at)


@pytest.mark.parametrize(
    ("missing", "package"), [("qemu-system-x86_64", "qemu-system-x86"), ("qemu-img", "qemu-utils")]
)
def test_a_machine_without_qemu(sandbox: Sandbox, folder: Path, missing: str, package: str) -> None:
    sandbox.write(HEAD + "  g: {kind: qemu, image: disk, nics: [lan]}\n")
    others = {"qemu-system-x86_64", "qemu-img"} - {missing}
    inside = ("env", f"PATH={programs(folder / 'bin', *NEEDED, *others)}")
    refused(sandbox, "up", "--lab", code=69, says=f"`{missing}` is missing", hint=package, inside=inside)


def test_machines_that_want_more_memory_together_than_is_free(sandbox: Sandbox, folder: Path) -> None:
    (folder / "meminfo").write_text("MemTotal: 1048576 kB\nMemAvailable: 90112 kB\n")
    sandbox.sh("mount --bind meminfo /proc/meminfo")
    text = HEAD + "  g: {kind: qemu, count: 4, image: disk, memory: 16M}\n  h: {kind: qemu, image: disk, memory: %dM}\n"
    for memory, said in ((16, None), (48, "have 112 MiB of memory together, and 88 MiB are free")):
        sandbox.write(text % memory)
        warnings = [each for each in sandbox.json("plan", "--lab")["warnings"] if "memory" in each]
        assert len(warnings) == (said is not None), warnings
        assert all(str(said) in each for each in warnings)
    sandbox.write(text % 16)
    sandbox.guestwire("up", "--lab")
    sandbox.write(text % 48)
    assert not any("memory together" in each for each in sandbox.json("plan")["warnings"]), "who runs has it already"
    sandbox.guestwire("down")


def test_vhost_that_is_demanded_where_the_kernel_has_none(sandbox: Sandbox, folder: Path) -> None:
    assert not os.path.exists("/dev/vhost-net"), "this test is for a kernel without"
    sandbox.write(HEAD + "  g: {kind: qemu, image: disk, nics: [{network: lan, vhost: true}]}\n")
    refused(sandbox, "up", "--lab", code=69, says="/dev/vhost-net can't be opened", hint="modprobe vhost_net")


@pytest.mark.parametrize("mine", ["write: true", "write: false"])
def test_an_image_that_another_qemu_writes_to(sandbox: Sandbox, folder: Path, mine: str) -> None:
    sandbox.write(HEAD + f"  g: {{kind: qemu, image: disk, {mine}}}\n")
    file = {"driver": "file", "node-name": "f", "filename": str(folder / "disk")}
    words = ["qemu-system-x86_64", "-S", "-nodefaults", "-display", "none", "-m", "16", "-qmp", "stdio"]
    words += ["-blockdev", json.dumps(file), "-device", "virtio-blk-pci,drive=f"]
    with subprocess.Popen(sandbox.inside(*words), stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout
        assert other.stdin
        other.stdin.write(b'{"execute": "qmp_capabilities"}')
        other.stdin.flush()
        other.stdout.readline()
        other.stdout.readline()  # its answer: by now the image is opened
        sandbox.sh("kill -STOP $(pidof qemu-system-x86_64)")
        try:
            refused(sandbox, "up", "--lab", code=69, says="is in use by qemu-system-x86", hint="an image of its own")
        finally:
            sandbox.sh("kill -KILL $(pidof qemu-system-x86_64)")
            other.send_signal(signal.SIGCONT)  # nsenter, which has stopped along with it
    sandbox.guestwire("up", "--lab")
    sandbox.guestwire("down")


def test_more_queues_than_descriptors(sandbox: Sandbox, folder: Path) -> None:
    sandbox.write(HEAD + "  g: {kind: qemu, image: disk, nics: [{network: lan, queues: 256}]}\n")
    inside = ("prlimit", "--nofile=240:240")
    refused(sandbox, "up", "--lab", code=71, says="Too many open files", hint="ulimit -Hn", inside=inside)


def test_what_qemu_itself_refuses_is_said_in_its_words(sandbox: Sandbox, folder: Path) -> None:
    sandbox.write(HEAD + "  g: {kind: qemu, kernel: notes, nics: [lan]}\n")
    refused(sandbox, "up", "--lab", code=71, says="QEMU ended as it started: qemu", hint="All was undone")


def test_a_guest_that_does_not_let_go_of_a_nic(sandbox: Sandbox, folder: Path) -> None:
    machine = HEAD + "  g: {kind: qemu, image: disk, memory: 16M, nics: [lan%s]}\n"
    sandbox.write(machine % ", lan")
    sandbox.guestwire("up", "--lab")
    sandbox.write(machine % "")
    refused(sandbox, "up", code=71, says="hasn't let go of it within 5 s", hint="once it has booted")
    sandbox.guestwire("down")


def test_a_machine_that_writes_to_its_image_starts_anew(sandbox: Sandbox, folder: Path) -> None:
    """Its own QEMU, which holds the image until it is ended, is in nobody's way."""
    sandbox.write(HEAD + "  g: {kind: qemu, image: disk, write: true, memory: 16M, nics: [lan]}\n")
    sandbox.guestwire("up", "--lab")
    sandbox.write(HEAD + "  g: {kind: qemu, image: disk, write: true, memory: 32M, nics: [lan]}\n")
    sandbox.guestwire("up")
    assert sandbox.json("status")["guests"][0]["machine"]["memory"] == 32
    sandbox.guestwire("down")


def test_files_with_other_contents_are_noticed(sandbox: Sandbox, folder: Path) -> None:
    """As those of the same names were when it started: what a machine is to boot from it boots from."""
    files = {name: idle(folder / name) for name in ("kernel", "image")}
    keys = ", ".join(f"{name}: {name}" for name in files)
    sandbox.write(HEAD + f"  g: {{kind: qemu, {keys}, memory: 16M, nics: [lan]}}\n")
    sandbox.guestwire("up", "--lab")
    for name, file in files.items():
        assert sandbox.json("plan")["changes"] == []
        file.write_bytes(file.read_bytes() + bytes(1 << 10))
        done = sandbox.guestwire("up")
        assert f"it restarts, since a machine that runs keeps what it was started with: {name}" in done.stderr.replace(
            "disks", "image"
        )
    assert len(sandbox.sh("ls /var/lib/guestwire/t").split()) == 1, "the overlay over the old image is gone"
    sandbox.guestwire("down")
