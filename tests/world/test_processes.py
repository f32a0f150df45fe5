"""Guests that are programs: their NICs on the host, in status and check, and the files that say it wrong."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

from tests.sandbox import SOURCE, Sandbox, ended

FILE = """
name: p
networks: {net: {type: bridge, subnet: 10.1.0.0/24}}
guests:
  web: {nics: [net]}
  vpn: {kind: process, owner: nobody, queues: 2, nics: [{network: net, address: 10.1.0.2, name: vpn0}, net]}
expect: [web reaches vpn, vpn does not reach web]
"""

ANSWER = """
import os, struct, sys
from guestwire.frames import Tap, VnetHeader
def answer(frame):
    there, here = frame[6:12], bytes.fromhex("020000000099")
    if frame[12:14] == b"\\x08\\x06" and frame[38:42] == bytes([10, 1, 0, 2]):
        return there + here + frame[12:21] + b"\\2" + here + frame[38:42] + frame[22:32]
    if frame[12:14] == b"\\x08\\x00" and frame[23] == 1 and frame[34] == 8:
        whole = int.from_bytes(frame[36:38]) + 0x800
        sum_ = (whole & 0xffff) + (whole >> 16)
        addresses = frame[30:34] + frame[26:30]
        return there + here + frame[12:26] + addresses + b"\\0\\0" + struct.pack("!H", sum_) + frame[38:]
with Tap("vpn0", multi_queue=True) as tap:
    print(os.getpid(), flush=True)
    while True:
        said = answer(tap.read())
        if said:
            tap.write(said)
"""
"""A program with an address and no kernel: it answers ARP and echo for 10.1.0.2."""


def guest(document: Any, name: str) -> Any:
    """A guest's part of a status."""
    return next(each for each in document["guests"] if each["name"] == name)


MISTAKEN = """
import os, subprocess
from guestwire.kinds.pidfile import end, says
with subprocess.Popen(["sleep", "60"]) as stranger:
    end(stranger.pid, says("/run/guestwire/p/other"))
    print(stranger.poll())
    end(stranger.pid, lambda pid: True)
    print(stranger.wait())
"""


def test_a_number_that_is_anothers_by_now_ends_nobody(sandbox: Sandbox) -> None:
    assert sandbox.python(MISTAKEN).stdout.split() == ["None", "-15"]


def test_a_program_is_reached_by_the_address_that_the_file_keeps_for_it(sandbox: Sandbox) -> None:
    before = sandbox.snapshot()
    sandbox.write(FILE)
    sandbox.guestwire("up")
    assert sandbox.json("up")["changes"] == []
    web = guest(sandbox.json("status"), "web")
    assert web["nics"][0]["addresses"] == ["10.1.0.3/24"]  # .2 is taken
    vpn = guest(sandbox.json("status"), "vpn")
    assert (vpn["kind"], vpn["state"]) == ("process", "starting")
    assert vpn["nics"][0] == {
        "name": "vpn0",
        "network": "net",
        "device": "tap",
        "mac": None,
        "addresses": ["10.1.0.2/24"],
        "lease": None,
        "host_link": "vpn0",
    }
    assert vpn["nics"][1]["name"] == "p-vpn.1"
    command = sandbox.inside(sys.executable, "-c", ANSWER)
    with subprocess.Popen(command, stdout=subprocess.PIPE, env={"PYTHONPATH": str(SOURCE)}) as program, ended(program):
        assert program.stdout
        pid = int(program.stdout.readline())
        found = sandbox.json("check", code=69)
        sandbox.kill(pid, "TERM")
    [there] = [pair for pair in found["pairs"] if (pair["from"], pair["to"]) == ("web", "vpn")]
    [back] = [pair for pair in found["pairs"] if (pair["from"], pair["to"]) == ("vpn", "web")]
    assert there["measured"] is True
    assert (back["measured"], back["why"]) == (None, "there is no way to send from vpn here")
    assert [each["held"] for each in found["expectations"]] == [True, None]
    assert sandbox.json("check", code=1)["expectations"][0]["held"] is False  # the program has ended
    assert "starting" in sandbox.guestwire("status").stdout
    done = sandbox.guestwire("exec", "vpn", "--", "true", check=False)
    assert done.returncode == 64
    assert "guest vpn is a process: it has no namespace to go into" in done.stderr
    sandbox.guestwire("down")
    assert sandbox.snapshot() == before


def test_without_an_address_nothing_says_where_it_is(sandbox: Sandbox) -> None:
    sandbox.write(FILE.replace("address: 10.1.0.2, ", ""))
    sandbox.guestwire("up")
    found = sandbox.json("check", code=69)
    assert not [pair for pair in found["pairs"] if "vpn" in (pair["from"], pair["to"])]
    assert found["expectations"][0]["why"] == "nothing says which address vpn has here"
    assert guest(sandbox.json("status"), "web")["nics"][0]["addresses"] == ["10.1.0.2/24"]
    sandbox.guestwire("down")


def test_the_owner_is_what_the_file_says_and_root_else(sandbox: Sandbox) -> None:
    def owner() -> Any:
        data = json.loads(sandbox.run("ip", "-j", "-d", "link", "show", "vpn0").stdout)[0]["linkinfo"]["info_data"]
        return data.get("user"), data.get("group"), data["multi_queue"]

    sandbox.write(FILE)
    sandbox.guestwire("up")
    assert owner() == ("nobody", None, True)
    sandbox.write(FILE.replace("owner: nobody, queues: 2", "group: games"))
    changes = sandbox.json("up")["changes"]
    assert {change["name"] for change in changes} == {"vpn0", "p-vpn.1"}
    assert owner() == (None, "games", False)
    sandbox.write(FILE.replace("owner: nobody, queues: 2, ", ""))
    sandbox.guestwire("up")
    assert owner() == ("root", None, False)
    sandbox.guestwire("down")


def test_the_hosts_own_nic_is_never_taken_for_it(sandbox: Sandbox) -> None:
    sandbox.sh("ip link add eth0 type veth peer name far0; ip link set far0 up; ip link set eth0 up")
    for uplink in ("", ", uplink: eth0"):
        for net in (f"type: bridge{uplink}", "type: macvtap, uplink: eth0"):
            sandbox.write(
                f"name: p\nnetworks: {{net: {{{net}}}}}\n"
                "guests: {vm: {kind: process, nics: [{network: net, name: eth0}]}}\n"
            )
            before = sandbox.snapshot()
            assert "eth0" in sandbox.json("up", code=65)["error"]["message"]
            assert sandbox.snapshot() == before
    sandbox.sh("ip link del eth0")


def test_a_held_tap_is_kept_over_what_doesnt_concern_it(sandbox: Sandbox) -> None:
    sandbox.write(FILE)
    sandbox.guestwire("up")
    hold = "from guestwire.frames import Tap\nt = Tap('vpn0', multi_queue=True)\nprint(flush=True)\ninput()"
    command = sandbox.inside(sys.executable, "-c", hold)
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, env={"PYTHONPATH": str(SOURCE)}) as program:
        assert program.stdin
        assert program.stdout
        program.stdout.readline()
        before = json.loads(sandbox.sh("ip -j link show vpn0"))[0]["ifindex"]
        sandbox.write(FILE.replace("web: ", "web2: {nics: [net]}\n  web: "))
        sandbox.guestwire("up")
        [vpn0] = [each for each in sandbox.json("tap", "list")["taps"] if each["name"] == "vpn0"]
        assert (vpn0["carrier"], vpn0["queues"], len(vpn0["holders"]), vpn0["project"]) == (True, 1, 1, "p")
        assert json.loads(sandbox.sh("ip -j link show vpn0"))[0]["ifindex"] == before
        program.stdin.write(b"\n")
    sandbox.guestwire("down")


WITHOUT_ROOT = ("unshare", "-U", "-r", "-n", "-m", "sh", "-euc")


def test_without_root_it_is_the_users_and_nobody_elses(sandbox: Sandbox) -> None:
    sandbox.sh("mkdir /run/mount")  # as mount(8) does
    before = sandbox.snapshot()
    sandbox.write(FILE.replace("owner: nobody, ", ""))
    start = f'ip link set lo up; mount -t tmpfs none /run; g() {{ {sys.executable} -m guestwire "$@"; }}\n'
    script = "g up --lab --quiet; g tap list --netns p-host; g down --quiet"
    assert "tap     root     p-net" in sandbox.run(*WITHOUT_ROOT, start + script).stdout
    sandbox.write(FILE)
    done = sandbox.run(*WITHOUT_ROOT, start + "g up --lab", check=False)
    assert done.returncode == 71
    assert "there is one user only: leave owner and group out" in done.stderr
    assert sandbox.snapshot() == before


NETWORKS = "{net: {type: bridge, uplink: eth1}, direct: {type: macvtap, uplink: eth0}}"
WRONG = f"name: p\nnetworks: {NETWORKS}\nguests: {{v: {{kind: process%s}}}}\n"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (", owner: no-such-user, nics: [net]", 'there is no user "no-such-user" on this machine'),
        (", group: no-such, nics: [net]", 'there is no group "no-such" on this machine'),
        (", owner: root, nics: [direct]", "the kernel keeps no owner of a macvtap"),
        (", queues: 257, nics: [net]", "257 is out of range"),
        (", dns: 192.0.2.1, nics: [net]", "has no resolv.conf"),
        (", count: 2, nics: [{network: net, name: t0}]", "2 guests can't share one link of the host"),
        (", nics: [{network: net, address: dhcp}]", "address dhcp is the program's affair"),
        (", nics: [{network: net, gateway: 10.1.0.1}]", "gateway is the program's affair"),
        (", nics: [{network: net, default-route: true}]", "default-route is the program's affair"),
        (", nics: [{network: net, name: eth0}]", "the host has a link eth0 already by this file"),
        (", nics: [{network: net, name: p-net}]", "p-net is a name as guestwire gives them itself"),
        (", nics: [{network: net, name: t0}]}, w: {kind: process, nics: [{network: net, name: t0}]", "a link t0"),
        (", nics: [{network: net, device: macvtap}]", "device macvtap doesn't fit"),
    ],
)
def test_files_that_are_wrong(sandbox: Sandbox, words: str, said: str) -> None:
    sandbox.write(WRONG % words)
    before = sandbox.snapshot()
    error = sandbox.json("up", "--lab", code=65)["error"]
    assert said in error["message"]
    assert error["line"] == 3
    assert error["hint"]
    assert sandbox.snapshot() == before
