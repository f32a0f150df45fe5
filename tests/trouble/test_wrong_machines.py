"""A machine that can't: no rights, kernel or program lacking, another guestwire at work; and odd names, which work."""

from __future__ import annotations

import json
import select
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.sandbox import SOURCE, Sandbox
from tests.trouble.saying import errors_of, hide, refused

LAN = "networks: {lan: {type: bridge, subnet: 10.77.0.0/24}}\nguests: {web: {nics: [lan]}}\n"
MACVTAP = "networks: {lan: {type: macvtap, uplink: eth0}}\nguests: {web: {nics: [lan]}}\n"
# The file's folder is seen at /mnt, since an ordinary user has no way into pytest's own.
NOBODY = """\
import difflib, encodings.utf_8_sig, importlib, os, pkgutil, traceback, guestwire
for module in pkgutil.walk_packages(guestwire.__path__, "guestwire."):
    if not module.name.endswith("__main__"):
        importlib.import_module(module.name)
{first}
os.chdir("/mnt")
os.setgroups([]), os.setresgid(65534, 65534, 65534), os.setresuid(65534, 65534, 65534)
"""


def test_few_open_files_are_enough_for_many_guests(sandbox: Sandbox) -> None:
    sandbox.write(LAN.replace("{web: {", "{web: {count: 40, "))
    before = sandbox.snapshot()
    for verb in ("up", "down"):
        sandbox.run("sh", "-c", f"ulimit -n 64; exec {sys.executable} -m guestwire {verb}")
    assert sandbox.snapshot() == before


def test_a_kernel_without_macvtap(sandbox: Sandbox) -> None:
    """The kernel is asked for a kind of link that it really doesn't know."""
    sandbox.write(MACVTAP)
    prelude = "from guestwire.kinds.macvlan import Macvlan\nMacvlan.kernel_word = lambda self: 'macvtapp'"
    refused(sandbox, "up", "--lab", code=69, says="this kernel has no macvtapp", hint="modprobe", prelude=prelude)


def test_a_kernel_without_ipvlan_or_vlans(sandbox: Sandbox, root: Path) -> None:
    """Really so, on this one."""
    for example, says in (("ipvlan-l2", "this kernel has no ipvlan"), ("bridge-vlans", "can't tell VLANs apart")):
        sandbox.write((root / "examples" / f"{example}.yaml").read_text())
        refused(sandbox, "up", "--lab", code=69, says=says, hint="kernel")
    sandbox.write(LAN)
    sandbox.guestwire("up", "--lab")
    sandbox.write(LAN.replace("bridge", "bridge, vlans: true"))
    refused(sandbox, "up", code=69, says="can't tell VLANs apart", hint="kernel")


@pytest.mark.parametrize(("missing", "package"), [("nft", "nftables"), ("dnsmasq", "dnsmasq-base")])
def test_a_program_that_is_not_installed(missing: str, package: str, sandbox: Sandbox) -> None:
    sandbox.write(LAN)
    hide(sandbox, missing)
    says, hint = f"`{missing}` is missing", f"Install the package {package}"
    refused(sandbox, "up", "--lab", code=69, says=says, hint=hint)


def test_a_lab_that_needs_no_dhcp_server(sandbox: Sandbox) -> None:
    sandbox.write("lab: {dhcp: false}\n" + LAN)
    hide(sandbox, "dnsmasq")
    sandbox.guestwire("up", "--lab")
    assert "dnsmasq" not in sandbox.sh("ps -e")


def test_no_rights(sandbox: Sandbox) -> None:
    sandbox.write("name: t\n" + LAN)
    sandbox.sh(f"mount --bind {sandbox.folder} /mnt")
    prelude = NOBODY.replace("{first}", "")
    refused(sandbox, "up", code=77, says="this needs root", hint="--lab", prelude=prelude)


def test_no_rights_and_no_user_namespaces(sandbox: Sandbox) -> None:
    """In a chroot the kernel gives none: the setting is the whole machine's, and not a test's to touch."""
    sandbox.write("name: t\n" + LAN)
    sandbox.sh(f"mount --bind {sandbox.folder} /mnt; mount --rbind / /media")
    prelude = NOBODY.replace("{first}", "os.chroot('/media')")
    refused(sandbox, "up", "--lab", code=77, says="user namespace", hint="chroot", prelude=prelude)
    refused(sandbox, "plan", "--lab", code=77, says="user namespace", hint="run guestwire as root", prelude=prelude)


def test_a_file_that_may_not_be_read(sandbox: Sandbox) -> None:
    sandbox.write("name: t\n" + LAN).chmod(0o600)
    sandbox.sh(f"mount --bind {sandbox.folder} /mnt")
    prelude = NOBODY.replace("{first}", "")
    refused(
        sandbox, "plan", code=77, says='"guestwire.yaml" may not be read by this user', hint="chmod", prelude=prelude
    )


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_a_stream_that_is_closed(closed: str, sandbox: Sandbox) -> None:
    """As some that start a command leave it; what is opened then mustn't be taken for it."""
    sandbox.sh(f"PYTHONPATH={SOURCE} {sys.executable} -m guestwire draw {closed}")


def test_a_folder_that_was_deleted(sandbox: Sandbox) -> None:
    inside = ("sh", "-c", 'mkdir /run/gone; cd /run/gone; rmdir /run/gone; exec "$@"', "")
    refused(sandbox, "down", code=65, says="has been deleted", hint="--project NAME", inside=inside)


def test_few_open_files(sandbox: Sandbox) -> None:
    """Fewer than the namespaces take: those that aren't needed just now are closed, and none that a request names."""
    sandbox.write(LAN.replace("{nics", "{count: 30, nics"))
    few = ("sh", "-c", f'ulimit -n 64; exec {sys.executable} -m guestwire "$@"', "")
    before = sandbox.snapshot()
    for words in (["up"], ["exec", "web-7", "--", "true"], ["down"]):
        sandbox.run(*few, *words)
    assert sandbox.snapshot() == before


def test_no_room_for_the_lock(sandbox: Sandbox) -> None:
    sandbox.write(LAN)
    sandbox.sh("mount -t tmpfs -o nr_inodes=2 none /run")
    for verb in ("up", "down"):
        refused(sandbox, verb, code=71, says="the lock can't be written: No space left", hint="Make room")


def test_a_kernel_that_keeps_no_mark_of_an_address(sandbox: Sandbox) -> None:
    """As before Linux 5.18: an attribute that it doesn't know is passed over."""
    sandbox.write(LAN)
    older = "import guestwire.kinds.address\nguestwire.kinds.address.IFA_PROTO = 250"
    refused(sandbox, "up", code=69, says="keeps no mark of whose an address is", hint="Linux 5.18", prelude=older)


def test_odd_things_in_run(sandbox: Sandbox) -> None:
    """A name that `ip netns add` left when it was killed is no namespace, nor is what else lies there."""
    sandbox.write(LAN)
    sandbox.sh("cd /run; mkdir -p netns/folder; touch netns/t-web; mkfifo netns/t-pipe; ln -s t-loop netns/t-loop")
    (error,) = errors_of(sandbox, "up", code=71)
    assert error["message"] == "create namespace t-web: File exists."
    assert "ip netns delete t-web" in error["hint"]
    for verb in ("draw", "status", "list"):
        sandbox.guestwire(verb)
    sandbox.sh("rm -r /run/netns/*; touch /run/guestwire")
    assert sandbox.json("list") == {"projects": []}
    refused(sandbox, "up", code=71, says="the lock can't be written", hint="have it writable")


@contextmanager
def another(sandbox: Sandbox, lock: str) -> Iterator[int]:
    """Another guestwire at work on the host that this lock stands for."""
    script = f"from guestwire.apply import locked\nwith locked({lock}): print(flush=True), input()"
    words = sandbox.inside("env", f"PYTHONPATH={SOURCE}", sys.executable, "-c", script)
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        assert process.stdin
        assert select.select([process.stdout], [], [], 20)[0]
        assert process.stdout.readline() == "\n"
        yield process.pid
        process.stdin.write("\n")


HOST = "'host-%d' % __import__('os').stat('/proc/self/ns/net').st_ino"


@pytest.mark.parametrize(("words", "lock"), [(["up"], HOST), (["up", "--lab"], "'lab-t'"), (["down"], HOST)])
def test_another_at_work(words: list[str], lock: str, sandbox: Sandbox) -> None:
    sandbox.write(LAN)
    with another(sandbox, lock):
        refused(sandbox, *words, code=75, says="another guestwire (process ", hint="Try again when it is done.")
    assert sandbox.sh("ls /run") == ""
    sandbox.guestwire("up", "--lab")


def test_two_at_once(sandbox: Sandbox) -> None:
    """Whichever comes second is told so, or finds it done: never do both build."""
    sandbox.write(LAN)
    words = sandbox.inside("env", f"PYTHONPATH={SOURCE}", sys.executable, "-m", "guestwire", "up", "--lab", "--json")
    pipe = subprocess.PIPE
    both = [subprocess.Popen(words, stdout=pipe, stderr=pipe, text=True, cwd=sandbox.folder) for _ in range(2)]
    ends = [(process.communicate(timeout=60)[0], process.returncode) for process in both]
    assert sorted(code for _, code in ends) in ([0, 0], [0, 75]), ends
    built = [json.loads(out)["changes"] for out, code in ends if code == 0]
    assert sum(map(bool, built)) == 1, ends
    assert sandbox.json("up")["changes"] == []


@pytest.mark.parametrize("verb", ["up", "down"])
def test_a_change_that_was_broken_off(verb: str, sandbox: Sandbox) -> None:
    sandbox.write(LAN)
    before = sandbox.snapshot()
    killed = sandbox.guestwire("up", "--lab", check=False, env={"GUESTWIRE_FAULT": "kill:9"})
    assert killed.returncode == -9 or killed.returncode == 137
    words = [verb, *(["--lab"] if verb == "up" else [])]
    (error,) = errors_of(sandbox, *words, code=75)
    assert "a change of project t was broken off" in error["message"]
    assert "guestwire rollback --project t" in error["hint"]
    assert sandbox.json("list")["projects"][0]["unsettled"]
    assert "t: all was undone" in sandbox.guestwire("rollback").stdout
    assert sandbox.snapshot() == before


ODD = ["up", "br", "dev", "type", "all", "default", "lo", "eth0", "0", "x" * 63, "a-b", "A"]


def test_odd_names_work(sandbox: Sandbox) -> None:
    """As `ip` words, numbers, too long for a link, capital: all of them at once, as networks and as guests."""
    networks = "".join(f"  {name}: {{type: bridge, subnet: 10.{i}.0.0/24}}\n" for i, name in enumerate(ODD, 1))
    guests = "".join(f"  {name}: {{nics: [{name}]}}\n" for name in ODD)
    sandbox.write(f"name: dev\nnetworks:\n{networks}guests:\n{guests}")
    before = sandbox.snapshot()
    commands = sandbox.guestwire("plan", "--lab", "--commands").stdout
    sandbox.guestwire("up", "--lab")
    status = sandbox.json("status")
    assert [guest["state"] for guest in status["guests"]] == ["up"] * len(ODD)
    assert status["drift"] == []
    for name in ("up", "all", "x" * 63):
        assert "10." in sandbox.guestwire("exec", name, "--", "ip", "-4", "address", "show", "eth0").stdout
    long = sandbox.sh("ip -n dev-host -o link | grep alias | sed 's/.*alias //' | sort")
    assert f"guestwire:dev:dev-{'x' * 63}\n" in long
    sandbox.guestwire("down")
    assert sandbox.snapshot() == before
    sandbox.run("sh", "-eu", text=commands)
    assert sandbox.json("status", "--lab")["drift"] == []


def test_two_long_names_that_begin_alike(sandbox: Sandbox) -> None:
    sandbox.write("".join(["networks:\n", *(f"  {'n' * 40}{i}: {{type: bridge}}\n" for i in range(20))]))
    sandbox.guestwire("up")
    assert len({network["link"] for network in sandbox.json("status")["networks"]}) == 20
