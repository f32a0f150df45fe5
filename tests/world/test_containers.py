"""Guests that are containers: plugged in whoever runs them, theirs untouched, nothing of ours left."""

from __future__ import annotations

import json

import pytest

from tests.sandbox import Sandbox
from tests.world.containers import FILE, OWN, has, lxc, podman, process, tool

WITH_ROUTE = f"{OWN}; ip route add default via 172.17.0.1"


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
    assert sandbox.answers("10.3.0.1")
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
    assert "container db: it isn't plugged in there, into net." in done.stdout, done.stderr
    assert has(sandbox, pid) == {}
    assert sandbox.snapshot() == before
    sandbox.guestwire("up", "--no-guard")
    plugged = sandbox.snapshot()
    sandbox.write((FILE % (f"pid: {pid}", "")).replace("web:", "new: {nics: [net]}\n  web:"))
    assert "container db: it isn't plugged in there" in sandbox.guestwire("try", check=False).stdout
    assert sandbox.snapshot() == plugged


def test_the_commands_of_the_plan_do_the_same(sandbox: Sandbox) -> None:
    pid = process(sandbox, OWN)
    sandbox.write(FILE % (f"pid: {pid}", ""))
    before = sandbox.snapshot()
    sandbox.sh(sandbox.guestwire("plan", "--commands").stdout)
    assert sandbox.json("up")["changes"] == []
    assert has(sandbox, pid)["eth1"] == ["10.1.0.3/24"]
    sandbox.guestwire("down")
    assert sandbox.snapshot() == before
