"""The command line by an ordinary user: `up --confirm`, whose timer lives in the lab, programs, machines."""

from __future__ import annotations

import json
import sys
import sysconfig
from pathlib import Path

import pytest

from tests.machine.guest import APPEND, initramfs, kernel
from tests.rootless.place import NOBODY
from tests.sandbox import SOURCE, Sandbox

FILE = "name: p\nnetworks: {lan: {type: bridge, uplink: eth0}}\nguests: {web: {nics: [lan]}}\n"
# A Python that everybody may start, wherever the tests' own lies; and a folder of the user's.
PLACES = {
    "python": sys.base_prefix,
    "guestwire": str(SOURCE),
    "packages": sysconfig.get_path("purelib"),
}
BEGIN = "mount -t tmpfs none /opt\n" + "".join(
    f"mkdir /opt/{name}\nmount --bind {place} /opt/{name}\n" for name, place in PLACES.items()
)
HOME = f"mkdir -m 700 /opt/home /opt/home/run\nchown {NOBODY}:{NOBODY} /opt/home /opt/home/run\n"
OPEN = "mknod -m 666 /run/tun c 10 200; mount --bind /run/tun /dev/net/tun"  # to all, as udev makes it
MACHINE = """
name: p
networks: {net: {type: bridge, subnet: 10.1.0.0/24}, direct: {type: macvtap, uplink: eth0}}
guests:
  web: {nics: [net]}
  vm:
    kind: qemu
    accel: tcg
    memory: 128M
    kernel: /opt/vm/kernel
    initramfs: /opt/vm/initramfs
    append: "%s nic=*,10.1.0.77/24"
    nics: [{network: %s, address: %s}]
"""
ENDS = """
import os, select, subprocess, sys
keepers = subprocess.run(["pgrep", "-x", "guestwire-lab"], capture_output=True, text=True).stdout.split()
handles = [os.pidfd_open(int(pid)) for pid in keepers]
if sys.argv[1:]:
    subprocess.run(sys.argv[1:], check=True)
print(len(handles), all(select.select([handle], [], [], 30)[0] for handle in handles))
"""


@pytest.fixture
def user(sandbox: Sandbox) -> list[str]:
    """The words with which an ordinary user calls guestwire in the sandbox."""
    if Path("/proc/self/uid_map").read_text().split()[2] != "4294967295":
        pytest.skip("needs another user than the one who tests")
    sandbox.sh(BEGIN + HOME + f"cat > /opt/home/p.yaml <<'E'\n{FILE}E\n")
    python = f"/opt/python/bin/python{sys.version_info.major}.{sys.version_info.minor}"
    told = ["XDG_RUNTIME_DIR=/opt/home/run", "PYTHONPATH=/opt/guestwire:/opt/packages"]
    told.append("LD_LIBRARY_PATH=/opt/python/lib")  # its own, not the system's of another number
    become = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]
    return [*become, "env", "--chdir=/opt/home", *told, python, "-m", "guestwire"]


def test_without_a_word_the_lab_ends(user: list[str], sandbox: Sandbox) -> None:
    done = sandbox.run(*user, "up", "/opt/home/p.yaml", "--lab", "--confirm", "600", "--json")
    assert json.loads(done.stdout)["confirm"]["unit"] is None
    assert "waiting for confirm" in sandbox.run(*user, "list").stdout
    over = ("exec", "web", "--", "sed", "-i", "s/^waiting .*/waiting 0.0/", "/run/guestwire/p/journal")
    assert sandbox.python(ENDS, *user, *over).stdout == "1 True\n"
    assert sandbox.run(*user, "list").stdout == "No project is up.\n"


def test_confirmed_it_stays(user: list[str], sandbox: Sandbox) -> None:
    sandbox.run(*user, "up", "/opt/home/p.yaml", "--lab", "--confirm", "600")
    assert sandbox.run(*user, "confirm").stdout == "p: confirmed.\n"
    assert sandbox.run(*user, "plan", "/opt/home/p.yaml").stdout == "Nothing to do.\n"
    sandbox.run(*user, "down", "/opt/home/p.yaml")


def test_a_program_gets_a_nic_in_a_lab_of_ones_own(user: list[str], sandbox: Sandbox) -> None:
    """`run` takes no rights that a lab without root hasn't: a tap by number, and a namespace."""
    sandbox.sh(OPEN)
    sandbox.run(*user, "up", "/opt/home/p.yaml", "--lab")
    words = ("run", "/opt/home/p.yaml", "--network", "lan")
    found = sandbox.run(*user, *words, "--", "sh", "-c", "echo {fd} $LISTEN_FDS; : <&{fd}; exit 7", check=False)
    assert (found.returncode, found.stdout) == (7, "3 1\n"), found.stderr
    inside = sandbox.run(*user, *words, "--namespace", "--", "ip", "-br", "link", "show", "eth0")
    assert "UP" in inside.stdout
    assert sandbox.run(*user, "status", "/opt/home/p.yaml").stdout.endswith("As the file says.\n")
    sandbox.run(*user, "down", "/opt/home/p.yaml")
    assert sandbox.run(*user, "list").stdout == "No project is up.\n"


def _machine(sandbox: Sandbox, network: str, address: str) -> None:
    sandbox.sh(f"{OPEN}; mkdir /opt/vm; cp {kernel()} /opt/vm/kernel; cp {initramfs()} /opt/vm/initramfs")
    text = MACHINE % (APPEND, network, address)
    sandbox.run("sh", "-c", "cat >/opt/home/p.yaml", text=text)


@pytest.mark.slow
def test_a_machine_boots_in_a_lab_of_ones_own(user: list[str], sandbox: Sandbox) -> None:
    _machine(sandbox, "net", "10.1.0.77")
    sandbox.run(*user, "up", "p.yaml", "--lab")
    sandbox.run(*user, "exec", "web", "--", "sh", "-c", "until ping -q -c1 -W1 10.1.0.77; do :; done")
    assert "guest: up" in sandbox.run(*user, "logs", "vm").stdout
    assert sandbox.run(*user, "plan", "p.yaml").stdout == "Nothing to do.\n"
    sandbox.run(*user, "down", "p.yaml")
    assert sandbox.python(ENDS).stdout.endswith(" True\n")
    assert "qemu" not in sandbox.snapshot()["processes"]


def test_a_machine_on_a_macvtap_needs_root(user: list[str], sandbox: Sandbox) -> None:
    """Its node can't be opened in a user namespace; that is said before anything is made."""
    _machine(sandbox, "direct", "192.0.2.77")
    done = sandbox.run(*user, "up", "p.yaml", "--lab", check=False)
    assert (done.returncode, "a macvtap's device node can't be opened here" in done.stderr) == (69, True), done.stderr
    assert "Do it as root, or use a network of type bridge or routed." in done.stderr
    assert sandbox.run(*user, "list").stdout == "No project is up.\n"
