"""guestwire failed, interrupted or killed at any step leaves the host as it was, at the latest after a rollback."""

from __future__ import annotations

import json
import os
import shlex
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.examples import IMAGE
from tests.sandbox import SOURCE, Sandbox
from tests.world.consoles import idle
from tests.world.examples import EXAMPLES, HOST, pair
from tests.world.faults import Done, Job
from tests.world.files import CHANGED, THREE, UPLINKS

ALL = os.environ.get("GUESTWIRE_ALL_FAULTS")
MOST, FEW = (None, None) if ALL else (12, 3)
"""How often each is broken off, and each verb of an example; `make fault` does it in each way at each step."""
WITH_QEMU = {} if ALL else {"qemu": pytest.mark.slow}
"""Where a sample is struck that of test_qemu_faults.py will do."""
NEEDS_MORE = {"bridge-uplink", "dhcp", "routed", "three-ways"}
"""Examples that put a NIC with addresses into a bridge, which this version does in a lab alone."""

PASSTHRU = """
name: three
networks: {whole: {type: macvtap, uplink: eth2, mode: passthru}}
guests: {a: {nics: [{network: whole, mac: "52:54:00:00:00:01", address: []}]}}
"""

ON_ONE_THAT_IS_DOWN = """
name: three
networks: {direct: {type: macvtap, uplink: eth2}}
guests: {g: {count: 3, nics: [{network: direct, address: []}]}}
"""

MANY = """
name: many
networks: {net: {type: bridge, subnet: [10.77.0.0/16, "fd00:77::/64"]}}
guests: {g: {count: 200, nics: [net]}}
"""

GATEWAYS = """
name: three
networks:
  net:
    {type: bridge, subnet: [10.77.0.0/24, "fd00:77::/64"], nat: true, dhcp: true, forward: [{host: 80, to: a}]}
  lan: {type: macvtap, uplink: eth0}
  routed: {type: routed, uplink: eth1, subnet: [198.51.100.128/28, "2001:db8:2::80/121"], proxy: true}
guests: {a: {nics: [net]}, b: {nics: [routed]}}
"""

OTHERWISE = """
name: three
networks:
  net: {type: bridge, subnet: [10.77.0.0/24, "fd00:77::/64"], dhcp: true}
  routed: {type: routed, subnet: [10.78.0.0/24, "fd00:78::/64"], nat: true, forward: [{host: 80, to: b}]}
guests: {a: {nics: [net]}, b: {nics: [routed]}, c: {nics: [net, routed]}}
"""

KILLED_ROLLBACK = """
import os, signal
from guestwire import api
from guestwire.linux import namespaces
ended = []
def delete(name, really=namespaces.delete):
    really(name)
    ended.append(name)
    if len(ended) == 2:
        os.kill(os.getpid(), signal.SIGKILL)
namespaces.delete = delete
api.rollback()
"""

KILLED_AFTER = """
import importlib, os, signal, sys
from guestwire import api
verb, module, name, *words = sys.argv[1:]
there = importlib.import_module(module)
def killed(*args, really=getattr(there, name)):
    really(*args)
    os.kill(os.getpid(), signal.SIGKILL)
setattr(there, name, killed)
getattr(api, verb)(*words, guard=False)
"""
"""The verb, and after which call it is killed."""

HOSTS_LOCK = "'host-%d' % os.stat('/proc/self/ns/net').st_ino"

BARE = """
name: three
networks: {net: {type: routed, subnet: 10.77.0.0/24}}
guests: {a: {nics: [net]}, b: {kind: process, nics: [{network: net, address: 10.77.0.9, device: tun}]}}
"""

LEASED = """
name: three
networks: {lan: {type: bridge, uplink: eth0}, direct: {type: macvtap, uplink: eth1}}
guests: {a: {nics: [{network: lan, address: dhcp}]}, b: {nics: [lan, {network: direct, address: dhcp}]}}
"""
PINNED = LEASED.replace("a: {nics: [{network: lan, address: dhcp", "a: {nics: [{network: lan, address: 192.0.2.20")
HOSTS = """
name: three
lab: {host-dhcp: true}
networks: {lan: {type: macvtap, uplink: eth0}}
guests: {a: {nics: [lan]}}
"""
BRIDGED = HOSTS.replace("macvtap", "bridge")

each_place = pytest.mark.parametrize("lab", [True, False], ids=["lab", "host"])


@pytest.fixture
def struck(sandbox: Sandbox, strike: Callable[..., Done]) -> Callable[..., None]:
    """Breaks verbs off in all ways: each a verb, a file, and the file that is up before."""

    def do(lab: bool, *jobs: tuple[str, str, str | None]) -> None:
        if not lab:
            sandbox.sh(UPLINKS)
        made = []
        for number, (verb, file, base) in enumerate(jobs):
            path = str(sandbox.write(file, f"file{number}.yaml"))
            start = str(sandbox.write(base, f"base{number}.yaml")) if base else None
            made.append(Job(verb, lab, path, start, MOST))
        assert strike(*made).injections

    return do


@each_place
@pytest.mark.parametrize(
    ("verb", "file", "base"),
    [("up", THREE, None), ("up", CHANGED, THREE), ("down", THREE, THREE)],
    ids=["up", "change", "down"],
)
def test_what_is_broken_off_is_as_before_or_finished(
    struck: Callable[..., None], lab: bool, verb: str, file: str, base: str | None
) -> None:
    struck(lab, (verb, file, base))


def test_mac_that_passthru_lent_the_nic_is_given_back(struck: Callable[..., None]) -> None:
    struck(False, ("up", PASSTHRU, None))


def test_uplink_that_was_down_is_set_down_when_its_macvlans_have_gone(struck: Callable[..., None]) -> None:
    struck(False, ("up", ON_ONE_THAT_IS_DOWN, None), ("down", ON_ONE_THAT_IS_DOWN, ON_ONE_THAT_IS_DOWN))


@pytest.mark.parametrize(
    ("verb", "file", "base"),
    [("up", LEASED, None), ("up", PINNED, LEASED), ("down", LEASED, LEASED), ("up", BRIDGED, HOSTS)],
    ids=["up", "change", "down", "host"],
)
def test_clients_that_are_broken_off_are_as_before(
    struck: Callable[..., None], verb: str, file: str, base: str | None
) -> None:
    struck(True, (verb, file, base))


@each_place
@pytest.mark.parametrize(
    ("verb", "file", "base"),
    [("up", GATEWAYS, None), ("up", OTHERWISE, GATEWAYS), ("up", GATEWAYS, OTHERWISE), ("down", GATEWAYS, GATEWAYS)],
    ids=["up", "there", "back", "down"],
)
def test_gateways_that_are_broken_off(
    struck: Callable[..., None], lab: bool, verb: str, file: str, base: str | None
) -> None:
    struck(lab, (verb, file, base))


@each_place
@pytest.mark.parametrize("name", [pytest.param(name, marks=WITH_QEMU.get(name, ())) for name in EXAMPLES])
def test_every_example_that_is_broken_off(sandbox: Sandbox, strike: Callable[..., Done], lab: bool, name: str) -> None:
    if not lab:
        sandbox.sh(HOST)
    idle(sandbox.folder / IMAGE.name)
    project, *files = pair(name, lab)
    file, changed = (str(sandbox.write(text, f"{number}.yaml")) for number, text in enumerate(files))
    jobs = (("up", file, None), ("up", changed, file), ("down", file, file))
    done = strike(*(Job(verb, lab, path, base, FEW, project) for verb, path, base in jobs))
    assert done.injections or (done.unfit and not lab and name in NEEDS_MORE)


def test_signals_at_any_moment_end_with_130_and_nothing_is_left(sandbox: Sandbox) -> None:
    path = sandbox.write(MANY)
    done = sandbox.python("from tests.world.interrupts import main; main()", str(path), "10")
    rounds = json.loads(done.stdout)
    assert all(each["same"] for each in rounds), rounds
    # One that comes when all is done is too late, and then the exit code says so: `up` is up.
    assert {each["code"] for each in rounds} <= {0, 130}, rounds
    assert any(each["code"] == 130 for each in rounds), rounds


def test_after_a_kill_the_next_command_names_the_journal_until_it_is_settled(sandbox: Sandbox) -> None:
    sandbox.write(THREE)
    before = sandbox.snapshot()
    killed = sandbox.guestwire("up", "--lab", check=False, env={"GUESTWIRE_FAULT": "kill:60"})
    assert killed.returncode != 0
    for words in (("up", "--lab"), ("down", "--project", "three"), ("up", "--lab")):
        refused = sandbox.guestwire(*words, check=False)
        assert refused.returncode == 75
        assert "journal is unsettled" in refused.stderr
        assert "guestwire rollback --project three" in refused.stderr
    assert sandbox.json("list")["projects"][0]["unsettled"]
    assert "`guestwire rollback` takes it back, or ends it" in sandbox.guestwire("list").stdout
    assert "all was undone" in sandbox.guestwire("rollback").stdout
    assert sandbox.snapshot() == before
    assert sandbox.json("rollback") == {"settled": []}
    assert sandbox.snapshot() == before


def test_process_whose_pid_file_was_never_written_is_ended_too(sandbox: Sandbox) -> None:
    """As where guestwire is killed between a daemon's start and the pid file that it writes."""
    sandbox.write(THREE)
    # In another namespace the same words are another's.
    sandbox.sh("setsid -f sh -c 'tail -f /dev/null; :' /run/guestwire/three/dhcp-eth0.pid >/dev/null 2>&1")
    sandbox.until("pgrep -x tail >/dev/null")
    before = sandbox.snapshot()
    sandbox.guestwire("up", "--lab")
    pids = sandbox.sh("cat /run/guestwire/three/*.pid; rm /run/guestwire/three/*.pid").split()
    assert len(pids) == 2
    assert sandbox.json("up")["changes"] == []
    sandbox.guestwire("down")
    assert sandbox.snapshot() == before


def test_rollback_that_is_killed_itself_is_done_by_the_next(sandbox: Sandbox) -> None:
    sandbox.sh(UPLINKS)
    sandbox.write(THREE)
    before = sandbox.snapshot()
    sandbox.guestwire("up", check=False, env={"GUESTWIRE_FAULT": "kill:50"})
    done = sandbox.python(KILLED_ROLLBACK, check=False)
    assert done.returncode != 0
    sandbox.guestwire("rollback")
    assert sandbox.snapshot() == before
    sandbox.guestwire("up")
    sandbox.guestwire("down")
    assert sandbox.snapshot() == before


@pytest.mark.parametrize(
    ("verb", "call"),
    [
        ("up", ("guestwire.linux.namespaces", "_place")),  # a name that holds nothing yet
        ("down", ("guestwire.linux.namespaces", "umount")),  # and one that holds nothing any more
        ("up", ("guestwire.linux.tuntap", "set_persistent")),  # a tun has no MAC to be known by
    ],
)
def test_what_a_kill_leaves_between_two_calls_is_known(sandbox: Sandbox, verb: str, call: tuple[str, str]) -> None:
    path = sandbox.write(BARE)
    before = sandbox.snapshot()
    if verb == "down":
        sandbox.guestwire("up")
    assert sandbox.python(KILLED_AFTER, verb, *call, str(path), check=False).returncode < 0
    sandbox.guestwire("rollback")
    assert sandbox.snapshot() == before


def test_what_a_kill_had_half_written_goes(sandbox: Sandbox) -> None:
    path = sandbox.write(BARE)
    before = sandbox.snapshot()
    script = "import os, sys; os.rename = lambda *_: os.kill(os.getpid(), 9); from guestwire import api; "
    assert sandbox.python(script + "api.up(sys.argv[1], guard=False)", str(path), check=False).returncode < 0
    assert "journal." in sandbox.sh("ls /run/guestwire/three")
    sandbox.guestwire("rollback")
    assert sandbox.snapshot() == before


def test_who_is_killed_right_after_a_fork_keeps_nobody_waiting(sandbox: Sandbox) -> None:
    sandbox.write(BARE)
    script = f"""
import os, time
from guestwire.apply import locked
with locked({HOSTS_LOCK}):
    if os.fork() == 0:
        os.write(1, b"forked")
        time.sleep(0.5)
    os._exit(0)
"""
    command = f"PYTHONPATH={SOURCE} setsid -f {sys.executable} -c {shlex.quote(script)}"
    sandbox.sh(f"{command} >said 2>&1; until [ -s said ]; do sleep 0.01; done")
    sandbox.guestwire("up")


def test_a_process_that_was_asked_to_end_before_a_kill_is_started_anew(sandbox: Sandbox, root: Path) -> None:
    path = str(root / "examples" / "dhcp.yaml")
    sandbox.guestwire("up", path, "--lab")
    pidfile = "/run/guestwire/dhcp/client-phone.eth0.pid"
    pid = sandbox.sh(f"kill -STOP $(cat {pidfile}); cat {pidfile}").strip()  # else it would end in some 30 ms
    assert sandbox.python(KILLED_AFTER, "down", "signal", "pidfd_send_signal", path, check=False).returncode < 0
    sandbox.guestwire("rollback")
    sandbox.sh(f"kill -CONT {pid} 2>/dev/null || true")
    assert sandbox.sh(f"cat {pidfile}").strip() != pid
    assert sandbox.json("up", path)["changes"] == []


@pytest.mark.parametrize("size", ["4k", "8k"])
def test_no_step_runs_when_the_journal_cannot_be_written(sandbox: Sandbox, size: str) -> None:
    sandbox.write(MANY)
    sandbox.sh(f"mkdir /run/guestwire; mount -t tmpfs -o size={size} none /run/guestwire")
    before = sandbox.snapshot()
    refused = sandbox.guestwire("up", check=False)
    assert refused.returncode == 71
    assert "No space left on device" in refused.stderr
    assert sandbox.snapshot() == before


def test_up_is_undone_when_its_state_cannot_be_kept(sandbox: Sandbox) -> None:
    sandbox.write(MANY)
    sandbox.guestwire("up", check=False, env={"GUESTWIRE_FAULT": "kill:1"})
    pages = -(-int(sandbox.sh("stat -c %s /run/guestwire/many/journal")) // 4096)
    sandbox.guestwire("rollback")
    sandbox.sh(
        f"mkdir /run/guestwire; mount -t tmpfs -o size={4 * (pages + 1)}k none /run/guestwire"
    )  # one for the lock
    before = sandbox.snapshot()
    refused = sandbox.guestwire("up", check=False)
    assert refused.returncode == 71
    assert "No space left on device" in refused.stderr
    assert sandbox.snapshot() == before
