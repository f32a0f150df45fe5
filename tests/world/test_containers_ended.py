"""Containers that end, come again, or are plugged in only by half: what stays is as before."""

from __future__ import annotations

import pytest

from tests.sandbox import Sandbox
from tests.world.containers import FILE, OWN, has, process, tool
from tests.world.watching import watching


def test_one_that_ends_is_told_and_nothing_of_it_is_left(sandbox: Sandbox) -> None:
    pid = process(sandbox)
    sandbox.write(FILE % (f"pid: {pid}", ""))
    before = sandbox.snapshot()
    sandbox.guestwire("up")
    sandbox.kill(pid, "TERM")
    db = sandbox.json("status")["guests"][1]
    assert (db["state"], db["why"]) == ("down", f'guest "db": there is no process {pid}.')
    done = sandbox.guestwire("exec", "db", "--", "true", check=False)
    assert (done.returncode, "doesn't run any more" in done.stderr) == (69, True)
    gone = "while ip link show p-db.0; do sleep 0.02; done"
    sandbox.sh(f"timeout 20 sh -c '{gone}'")  # with its namespace: our name keeps nothing
    done = sandbox.guestwire("up", check=False)
    assert done.returncode == 65
    why = f'guest "db": there is no process {pid}. Say a running one\'s number. `guestwire up` then plugs it in.'
    checked = sandbox.json("check", code=69)
    assert [(each["held"], each["why"]) for each in checked["expectations"]] == [(None, why)] * 2
    assert {(each["measured"], each["why"]) for each in checked["pairs"] if "db" in (each["from"], each["to"])} == {
        (None, why)
    }
    sandbox.write((FILE % (f"pid: {pid}", "")).partition("expect")[0])
    assert why in sandbox.guestwire("check").stdout
    sandbox.guestwire("down")
    after = sandbox.snapshot()
    assert (after["namespaces"], after["files"], after["links of "]) == (
        before["namespaces"],
        before["files"],
        before["links of "],
    )


LAN = """
ip netns add lan; ip link add up0 type veth peer name eth0 netns lan; ip link set up0 up
ip -n lan link set lo up; ip -n lan address add 192.0.2.1/24 dev eth0; ip -n lan link set eth0 up
ip netns exec lan dnsmasq --port=0 --interface=eth0 --dhcp-range=192.0.2.100,192.0.2.150 --leasefile-ro --no-ping \\
    --conf-file=/dev/null --pid-file=/run/lan.pid
"""
LEASED = """
name: p
networks: {net: {type: bridge, uplink: up0}}
guests: {db: {kind: container, pid: %d, nics: [{network: net, address: dhcp}]}}
"""


def test_a_dhcp_client_ends_with_its_container(sandbox: Sandbox) -> None:
    """At once by a watch, at its next renewal (which SIGUSR1 asks for) by itself; `status` says that it goes on."""
    sandbox.sh(LAN)
    client = "/run/guestwire/p/client-db.eth0.pid"
    ends = f"while [ -e {client} ]; do sleep 0.05; done; while ip link show p-db.0 >/dev/null 2>&1; do sleep 0.05; done"
    for by in ("watch", "renewal"):
        pid = process(sandbox)
        sandbox.write(LEASED % pid)
        sandbox.guestwire("up")
        sandbox.kill(pid, "TERM")
        assert "Its DHCP client keeps the namespace that it had" in sandbox.guestwire("status").stdout
        if by == "watch":
            with watching(sandbox):
                sandbox.sh(ends)
        else:
            sandbox.sh(f"kill -USR1 $(cat {client}); {ends}")
    assert "keeps" not in sandbox.guestwire("status").stdout
    sandbox.guestwire("down")
    assert "client" not in sandbox.sh("ls -R /run/guestwire 2>/dev/null || true")


AGAIN = """
import pathlib, subprocess, sys
def guestwire(*words):
    return subprocess.run([sys.executable, "-m", "guestwire", *words], capture_output=True, text=True)
first = subprocess.Popen(["unshare", "-n", "sh", "-c", "echo; exec sleep 600"], stdout=subprocess.PIPE)
first.stdout.readline()
file = pathlib.Path("guestwire.yaml")
file.write_text(file.read_text().replace("PID", str(first.pid)))
print(guestwire("up").returncode)
first.kill()
first.wait()
pathlib.Path("/proc/sys/kernel/ns_last_pid").write_text(str(first.pid - 1))
second = subprocess.Popen(["sleep", "600"])
assert second.pid == first.pid
print(subprocess.run(["ip", "netns", "exec", "p-db", "true"]).returncode)  # iproute2 doesn't see the difference
print(guestwire("exec", "db", "--", "true").returncode)
print(guestwire("up").returncode)  # what has the number now is in the host's namespace
print(guestwire("down").returncode)
second.kill()
second.wait()
"""


def test_a_number_that_comes_again_is_another_process(sandbox: Sandbox) -> None:
    """The name doesn't lead into the namespace of who has the number by now."""
    before = sandbox.snapshot()
    sandbox.write(FILE % ("pid: PID", ""))
    assert sandbox.python(AGAIN).stdout.split() == ["0", "0", "69", "65", "0"]
    assert sandbox.snapshot() == before


@pytest.mark.parametrize("points", [(1, 3, 5), (7, 9, 11)], ids=str)
def test_wherever_it_is_broken_off_the_container_is_as_before(sandbox: Sandbox, points: tuple[int, ...]) -> None:
    pid = process(sandbox, OWN)
    before = sandbox.snapshot(), has(sandbox, pid)
    sandbox.write(FILE % (f"pid: {pid}", ""))
    for at in points:
        done = sandbox.guestwire("up", check=False, env={"GUESTWIRE_FAULT": f"kill:{at}"})
        sandbox.guestwire("rollback")
        if done.returncode == 0:
            sandbox.guestwire("down")
        assert (sandbox.snapshot(), has(sandbox, pid)) == before, at
        refused = sandbox.guestwire("up", check=False, env={"GUESTWIRE_FAULT": f"EBUSY:{at}"})
        if refused.returncode == 0:
            sandbox.guestwire("down")
        assert (sandbox.snapshot(), has(sandbox, pid)) == before, at


def test_one_that_ends_while_it_is_plugged_in_takes_all_back(sandbox: Sandbox) -> None:
    """The tool that is asked where it is kills it a moment later, when guestwire has found its namespace."""
    pid = process(sandbox)
    before = sandbox.snapshot()
    env = tool(sandbox, "docker", f"echo {pid}")
    sandbox.write(FILE % ("docker: db", ""))
    script = f"""
import os, signal, sys
from guestwire import api
from guestwire.apply import transaction
from guestwire.errors import GuestwireError
begin = transaction.Store.begin
def end_it(*words, **named):
    os.kill({pid}, signal.SIGKILL)
    while os.path.exists("/proc/{pid}/ns/net"):  # a killed process ends when its turn comes, maybe after `up`
        pass
    return begin(*words, **named)
transaction.Store.begin = end_it
os.environ["PATH"] = {env["PATH"]!r}
try:
    api.up()
except GuestwireError as error:
    print(error.code, error)
"""
    said = sandbox.python(script).stdout
    assert said.startswith("69 the container of p-db ended while it was being plugged in; all was undone"), said
    after = sandbox.snapshot()
    assert {k: v for k, v in after.items() if k != "processes"} == {k: v for k, v in before.items() if k != "processes"}


def test_an_undo_needs_no_container_that_has_ended(sandbox: Sandbox) -> None:
    pid = process(sandbox)
    sandbox.write(FILE % (f"pid: {pid}", ""))
    sandbox.guestwire("up")
    sandbox.write((FILE % (f"pid: {pid}", "")).replace("10.1.0", "10.2.0"))
    for fault in ("kill:6", "kill:2"):
        assert sandbox.guestwire("up", check=False, env={"GUESTWIRE_FAULT": fault}).returncode == -9
        if fault == "kill:6":
            sandbox.guestwire("rollback")
    sandbox.kill(pid, "TERM")
    assert "all was undone" in sandbox.guestwire("rollback").stdout
    assert sandbox.json("status")["guests"][0]["state"] == "up"
    sandbox.guestwire("down")
    assert "p-" not in sandbox.sh("ip -o link; ls /run/netns")


def test_watch_plugs_in_again_who_comes_again(sandbox: Sandbox) -> None:
    first = process(sandbox)
    env = tool(sandbox, "docker", "cat told 2>/dev/null || echo 0")
    told = sandbox.folder / "told"
    told.write_text(str(first))
    sandbox.write(FILE % ("docker: db", ""))
    sandbox.guestwire("up", env=env)
    with watching(sandbox, **env) as watch:
        watch.breaks(f"nsenter -t {first} -n ip link delete eth0", "p-db.0 was gone")
        assert has(sandbox, first) == {"eth0": ["10.1.0.3/24"]}
        told.unlink()
        sandbox.kill(first, "TERM")
        watch.line("attachment p-db was in the way")
        second = process(sandbox)
        (sandbox.folder / "tells").write_text(str(second))
        (sandbox.folder / "tells").rename(told)  # whole, whenever it is read
        watch.line("attachment p-db was gone")
        assert has(sandbox, second) == {"eth0": ["10.1.0.3/24"]}
        assert watch.stop() == 0
    sandbox.guestwire("down", env=env)


def test_a_dhcp_client_goes_with_its_container(sandbox: Sandbox) -> None:
    """The client keeps the namespace that it is in; so it is ended before it is forgotten."""
    before = sandbox.snapshot()["processes"]
    pid = process(sandbox)
    sandbox.write((FILE % (f"pid: {pid}", ", address: dhcp")).replace("24}", "24, dhcp: true}"))
    sandbox.guestwire("up")
    assert sandbox.json("status")["guests"][1]["nics"][0]["lease"]["running"] is True
    assert has(sandbox, pid)["eth0"]
    sandbox.kill(pid, "TERM")
    assert "dhcp client" in {step["kind"] for step in sandbox.json("status")["drift"]}
    sandbox.guestwire("down")
    assert "udhcpc" not in sandbox.snapshot()["processes"]
    assert "p-" not in sandbox.sh("ip -o link; ls /run/netns")
    assert sandbox.snapshot()["processes"] == before
