"""Guests that are containers: plugged in whoever runs them, theirs untouched, nothing of ours left."""

from __future__ import annotations

import json

import pytest

from tests.sandbox import Sandbox
from tests.world.containers import ended, has, lxc, podman, process, tool
from tests.world.watching import watching

OWN = (
    "ip link add eth0 type veth peer name far; ip link set far up; ip link set eth0 up; "
    "ip address add 172.17.0.2/16 dev eth0"
)
WITH_ROUTE = f"{OWN}; ip route add default via 172.17.0.1"
FILE = """
name: p
networks:
  net: {type: bridge, subnet: 10.1.0.0/24}
guests:
  web: {nics: [net]}
  db: {kind: container, %s, nics: [{network: net%s}]}
expect: [web reaches db, db reaches web]
"""


def test_a_running_process_gets_a_nic_beside_its_own(sandbox: Sandbox) -> None:
    pid = process(sandbox, WITH_ROUTE)
    before, routes = sandbox.snapshot(), sandbox.sh(f"nsenter -t {pid} -n ip route")
    sandbox.write(FILE % (f"pid: {pid}", ""))
    sandbox.guestwire("up")
    assert has(sandbox, pid) == {"far": [], "eth0": ["172.17.0.2/16"], "eth1": ["10.1.0.3/24"]}
    assert sandbox.json("up")["changes"] == []
    assert sandbox.json("check")["held"] is True
    db = sandbox.json("status")["guests"][1]
    assert (db["kind"], db["state"], db["nics"][0]["name"], db["nics"][0]["host_link"]) == (
        "container",
        "up",
        "eth1",
        "p-db.0",
    )
    assert "p-db" in sandbox.sh("ip netns list")
    assert "10.1.0.3" in sandbox.guestwire("exec", "db", "--", "ip", "address").stdout
    assert "p-db:eth1" in sandbox.guestwire("draw").stdout
    route = sandbox.sh(f"nsenter -t {pid} -n ip route")
    assert "default via 172.17.0.1 dev eth0" in route
    sandbox.guestwire("down")
    assert sandbox.sh(f"nsenter -t {pid} -n ip route") == routes
    assert has(sandbox, pid) == {"far": [], "eth0": ["172.17.0.2/16"]}
    assert sandbox.snapshot() == before


def test_a_namespace_by_its_name_and_by_its_path_is_never_ended(sandbox: Sandbox) -> None:
    sandbox.sh("ip netns add there")
    before = sandbox.snapshot()
    for where in ("netns: there", "netns: /run/netns/there"):
        sandbox.write(FILE % (where, ""))
        sandbox.guestwire("up")
        assert "10.1.0.3/24" in sandbox.sh("ip -n there address show eth0")
        assert "mtu" in sandbox.sh("ip -n p-db link show eth0")
        sandbox.guestwire("down")
        assert sandbox.snapshot() == before


def test_its_nics_keep_their_names_and_addresses(sandbox: Sandbox) -> None:
    pid = process(sandbox, OWN)
    two = FILE % (f"pid: {pid}", "}, {network: net, name: spare}, {network: net")
    sandbox.write(two)
    sandbox.guestwire("up")
    there = {"far", "eth0", "eth1", "eth2", "spare"}
    assert has(sandbox, pid).keys() == there
    plugged = has(sandbox, pid)
    sandbox.sh(f"nsenter -t {pid} -n ip link delete eth0")
    assert sandbox.json("up")["changes"] == []
    sandbox.write(two.replace("web: {nics: [net]}\n", "").replace("[web reaches db, db reaches web]", "[]"))
    sandbox.guestwire("up")
    assert has(sandbox, pid) == {name: had for name, had in plugged.items() if name not in ("far", "eth0")}
    sandbox.guestwire("down")


def test_a_default_route_is_set_where_the_file_says_so(sandbox: Sandbox) -> None:
    pid = process(sandbox)
    sandbox.write(FILE % (f"pid: {pid}", ""))
    done = sandbox.guestwire("up")
    assert 'guest "db": the container has no default route' in done.stderr
    assert "default" not in sandbox.sh(f"nsenter -t {pid} -n ip route")
    sandbox.write(FILE % (f"pid: {pid}", ", default-route: true"))
    assert "warning" not in sandbox.guestwire("up").stderr
    assert "default via 10.1.0.1 dev eth0" in sandbox.sh(f"nsenter -t {pid} -n ip route")
    sandbox.guestwire("down")
    other = process(sandbox, WITH_ROUTE)
    sandbox.write(FILE % (f"pid: {other}", ", default-route: true"))
    done = sandbox.guestwire("up", check=False)
    assert done.returncode == 65
    assert "the container has a default route of its own by eth0 already" in done.stderr


def test_every_way_of_a_network_leads_into_it(sandbox: Sandbox) -> None:
    sandbox.sh("ip link add up0 type veth peer name out; ip link set out up; ip link set up0 up")
    sandbox.sh("ip address add 192.0.2.10/24 dev up0")
    pid = process(sandbox, OWN)
    before = sandbox.snapshot()
    sandbox.write(f"""
name: p
networks:
  direct: {{type: macvtap, uplink: up0, mode: bridge, host-access: true}}
  alone: {{type: routed, subnet: 10.3.0.0/24}}
guests:
  db:
    kind: container
    pid: {pid}
    nics: [{{network: direct, address: 192.0.2.77/24}}, {{network: alone, default-route: true}}]
expect: [host reaches db]
""")
    sandbox.guestwire("up")
    assert has(sandbox, pid)["eth1"] == ["192.0.2.77/24"]
    assert has(sandbox, pid)["eth2"] == ["10.3.0.1/32"]
    sandbox.run("ping", "-c1", "-W2", "10.3.0.1")
    sandbox.guestwire("down")
    assert sandbox.snapshot() == before


def test_lxc_is_asked_by_name(sandbox: Sandbox) -> None:
    lxc(sandbox)
    sandbox.write(FILE % ("lxc: db", ""))
    done = sandbox.guestwire("up", check=False)
    assert (done.returncode, "LXC container db isn't running" in done.stderr) == (65, True)
    sandbox.sh("lxc-start -n db")
    before = sandbox.snapshot()
    sandbox.guestwire("up")
    assert sandbox.json("check")["held"] is True
    sandbox.sh("lxc-stop -n db -k; lxc-start -n db")  # another process, another namespace
    assert {step["kind"] for step in sandbox.json("status")["drift"]} >= {"attachment", "veth"}
    said = sandbox.guestwire("check", check=False).stdout
    assert said.count('guest "db": its container was started anew. `guestwire up` plugs it in.') == 2
    sandbox.guestwire("up")
    assert sandbox.json("check")["held"] is True
    sandbox.guestwire("down")
    after = sandbox.snapshot()
    assert {k: v for k, v in after.items() if k != "processes"} == {k: v for k, v in before.items() if k != "processes"}
    sandbox.sh("lxc-stop -n db -k")


def test_podman_is_asked_by_name(sandbox: Sandbox) -> None:
    podman(sandbox)
    before = sandbox.snapshot()
    sandbox.write(FILE % ("podman: db", ", default-route: true"))
    sandbox.guestwire("up")
    assert sandbox.json("check")["held"] is True
    assert "10.1.0.1" in sandbox.sh("podman exec db ip route")  # as the container itself sees it
    sandbox.guestwire("down")
    assert sandbox.snapshot() == before
    sandbox.sh("podman rm -f -t 0 db")


TOLD = {
    # What each tool is asked, and what it answers: the contract is that of the tool, of which no daemon runs here.
    "docker": ("inspect --type container --format {{.State.Pid}} db", "%d", "0"),
    "incus": ("query /1.0/instances/db/state", '{"status": "Running", "pid": %d}', '{"status": "Stopped", "pid": -1}'),
    "lxc": ("query /1.0/instances/db/state", '{"status": "Running", "pid": %d}', '{"status": "Stopped", "pid": 0}'),
    "crictl": ("inspect --output json db", '{"status": {}, "info": {"pid": %d}}', '{"info": {"pid": 0}}'),
}


@pytest.mark.parametrize(
    ("program", "key"), [("docker", "docker"), ("incus", "incus"), ("lxc", "lxd"), ("crictl", "cri")]
)
def test_a_runtime_is_asked_in_its_tools_own_words(sandbox: Sandbox, program: str, key: str) -> None:
    pid = process(sandbox)
    asked, running, stopped = TOLD[program]
    unknown = "echo 'Error: No such container' >&2; exit 1"
    env = tool(sandbox, program, f"[ \"$*\" = '{asked}' ] || {{ {unknown}; }}\ncat told")
    (sandbox.folder / "told").write_text(running % pid)
    sandbox.write(FILE % (f"{key}: db", ""))
    sandbox.guestwire("up", env=env)
    assert has(sandbox, pid) == {"eth0": ["10.1.0.3/24"]}
    # A tool that fails to answer is no reason to unplug who runs.
    sandbox.write(FILE % (f"{key}: gone", ""))
    assert json.loads(sandbox.guestwire("plan", "--json", env=env).stdout)["changes"] == []
    sandbox.guestwire("down", env=env)
    done = sandbox.guestwire("up", check=False, env=env)
    assert (done.returncode, "No such container" in done.stderr) == (65, True)
    (sandbox.folder / "told").write_text(stopped)
    sandbox.write(FILE % (f"{key}: db", ""))
    done = sandbox.guestwire("up", check=False, env=env)
    assert (done.returncode, "isn't running" in done.stderr) == (65, True)


def test_a_tool_that_is_missing_is_what_the_machine_lacks(sandbox: Sandbox) -> None:
    sandbox.write(FILE % ("incus: db", ""))
    done = sandbox.guestwire("up", check=False)
    assert (done.returncode, "`incus` isn't there to say where Incus container db is" in done.stderr) == (69, True)


def test_one_that_ends_is_told_and_nothing_of_it_is_left(sandbox: Sandbox) -> None:
    pid = process(sandbox)
    sandbox.write(FILE % (f"pid: {pid}", ""))
    before = sandbox.snapshot()
    sandbox.guestwire("up")
    ended(sandbox, pid)
    db = sandbox.json("status")["guests"][1]
    assert (db["state"], db["why"]) == ("down", f'guest "db": there is no process {pid}.')
    done = sandbox.guestwire("exec", "db", "--", "true", check=False)
    assert (done.returncode, "doesn't run any more" in done.stderr) == (69, True)
    assert "p-db.0" not in sandbox.sh("ip link")  # it went with its namespace: our name keeps nothing
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
ip netns exec lan dnsmasq --port=0 --interface=eth0 --dhcp-range=192.0.2.100,192.0.2.150 --leasefile-ro \\
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
        sandbox.sh(f"kill {pid}; while [ -e /proc/{pid}/ns/net ]; do sleep 0.01; done")
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
    ended(sandbox, pid)
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
        ended(sandbox, first)
        watch.line("attachment p-db was in the way")
        second = process(sandbox)
        told.write_text(str(second))
        watch.line("attachment p-db was gone")
        assert has(sandbox, second) == {"eth0": ["10.1.0.3/24"]}
        assert watch.stop() == 0
    sandbox.guestwire("down", env=env)


def test_what_cant_be_plugged_in_is_said(sandbox: Sandbox) -> None:
    pid = process(sandbox)
    for guest, said in {
        "nics: [net]": 'guest "db": nothing says which container it is.',
        "docker: db, pid: 4, nics: [net]": "docker and pid both say which container it is.",
        "docker: --help, nics: [net]": "is no container's name",
        "netns: a/b, nics: [net]": "a/b is a path that begins nowhere",
        f"pid: {pid}, count: 2, nics: [net]": "2 guests can't be one container.",
        f"pid: {pid}, dns: 10.1.0.1, nics: [net]": "the resolv.conf of a container is its own.",
        f"pid: {pid}, nics: [{{network: net, device: tap}}]": "device tap is held by a hypervisor",
        "pid: 1, nics: [net]": "its network namespace is that of the host",
        "netns: p-web, nics: [net]": "holds no network namespace",
        "netns: /etc/passwd, nics: [net]": "/etc/passwd holds no network namespace",
        f"pid: {pid}, nics: [net]}}\n  too: {{kind: container, pid: {pid}": "its network namespace is that of guest db",
    }.items():
        sandbox.write((FILE % ("pid: 1", "")).split("  db:", maxsplit=1)[0] + f"  db: {{kind: container, {guest}}}\n")
        done = sandbox.guestwire("up", check=False)
        assert (done.returncode, said in done.stderr) == (65, True), done.stderr
    sandbox.write(FILE % (f"pid: {pid}", ", name: eth0"))
    sandbox.sh(f"nsenter -t {pid} -n ip link add eth0 type veth peer name other")
    done = sandbox.guestwire("up", check=False)
    assert "veth eth0 in namespace p-db is already there and isn't guestwire's" in done.stderr


def test_a_rehearsal_leaves_it_out_and_says_so(sandbox: Sandbox) -> None:
    sandbox.sh("ip link add eth0 type veth peer name out; ip address add 192.0.2.2/24 dev eth0; ip link set eth0 up")
    pid = process(sandbox)
    sandbox.write(FILE % (f"pid: {pid}", ""))
    before = sandbox.snapshot()
    done = sandbox.guestwire("try", check=False)
    assert "container db: it isn't plugged in there" in done.stdout, done.stderr
    assert has(sandbox, pid) == {}
    assert sandbox.snapshot() == before
    sandbox.guestwire("up", "--no-guard")
    plugged = sandbox.snapshot()
    sandbox.write((FILE % (f"pid: {pid}", "")).replace("web:", "new: {nics: [net]}\n  web:"))
    assert "container db: it isn't plugged in there" in sandbox.guestwire("try", check=False).stdout
    assert sandbox.snapshot() == plugged


def test_a_dhcp_client_goes_with_its_container(sandbox: Sandbox) -> None:
    """The client keeps the namespace that it is in; so it is ended before it is forgotten."""
    before = sandbox.snapshot()["processes"]
    pid = process(sandbox)
    sandbox.write((FILE % (f"pid: {pid}", ", address: dhcp")).replace("24}", "24, dhcp: true}"))
    sandbox.guestwire("up")
    assert sandbox.json("status")["guests"][1]["nics"][0]["lease"]["running"] is True
    assert has(sandbox, pid)["eth0"]
    ended(sandbox, pid)
    assert "dhcp client" in {step["kind"] for step in sandbox.json("status")["drift"]}
    sandbox.guestwire("down")
    assert "udhcpc" not in sandbox.snapshot()["processes"]
    assert "p-" not in sandbox.sh("ip -o link; ls /run/netns")
    assert sandbox.snapshot()["processes"] == before


def test_the_commands_of_the_plan_do_the_same(sandbox: Sandbox) -> None:
    pid = process(sandbox, OWN)
    sandbox.write(FILE % (f"pid: {pid}", ""))
    before = sandbox.snapshot()
    sandbox.sh(sandbox.guestwire("plan", "--commands").stdout)
    assert sandbox.json("up")["changes"] == []
    assert has(sandbox, pid)["eth1"] == ["10.1.0.3/24"]
    sandbox.guestwire("down")
    assert sandbox.snapshot() == before
