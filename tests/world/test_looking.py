"""What the verbs that only look say: far ends in a drawing of a file, a state for each project, a project's name."""

from __future__ import annotations

from tests.sandbox import Sandbox

FILE = "name: p\nnetworks: {lan: {type: bridge, uplink: eth0}}\n"


def test_a_drawing_of_a_file_knows_where_its_links_lead(sandbox: Sandbox) -> None:
    sandbox.sh("ip netns add out; ip link add eth0 type veth peer name far netns out; ip link set eth0 up")
    sandbox.sh("ip -n out link set far up")
    path = str(sandbox.write(FILE))
    sandbox.guestwire("up", "--no-guard")
    drawn = sandbox.guestwire("draw", path).stdout
    assert "out:far" in drawn or "far ══" in drawn, drawn
    assert "? ══" not in drawn
    sandbox.guestwire("down", "--no-guard")


ONE_LOOK = """
import os, subprocess
from guestwire.kinds.hostclient import HostClient
from guestwire.linux.kernel import Kernel
from guestwire.observe import Again, look_up, observe
from guestwire.observe import again
from guestwire.picture import Key
looks, asked = [], []
listdir, namespace_id = os.listdir, again.namespace_id
os.listdir = lambda path: looks.append(path) or listdir(path)
again.namespace_id = lambda *given: asked.append(given) or namespace_id(*given)
names = [f"n{number}" for number in range(8)]
with Kernel() as kernel:
    seen = observe(kernel, "", names)
    look_up(kernel, seen, [Key("", netns, HostClient.KIND, "") for netns in names])
    print(looks.count("/proc"), *sorted(client.netns for client in seen.of(HostClient)))
    for name in names:
        subprocess.run(f"ip link add {name} type veth peer name eth0 netns {name}", shell=True, check=True)
    Again(kernel, seen, {}).links({}, {name: {"eth0"} for name in names})
    print(len(asked) < 3 * len(names))
"""


def test_what_is_asked_of_many_namespaces_takes_no_look_at_all_for_each(sandbox: Sandbox) -> None:
    sandbox.sh("for n in $(seq 0 7); do ip netns add n$n; done")
    for netns in ("n1", "n6"):
        sandbox.sh(f"ip netns exec {netns} sh -c 'exec udhcpc -f -i lo >/dev/null 2>&1 &'")
    sandbox.until("[ $(pgrep -xc udhcpc) = 2 ]")
    assert sandbox.python(ONE_LOOK).stdout.splitlines() == ["1 n1 n6", "True"]


def test_a_plan_is_of_the_project_that_is_named(sandbox: Sandbox) -> None:
    sandbox.write("name: p\nnetworks: {lan: {type: bridge, subnet: 10.1.0.0/24}}\n")
    assert sandbox.json("plan", "--project", "q")["changes"][0]["name"] == "q-lan"
    sandbox.guestwire("up", "--project", "q", "--confirm", "600")
    [listed] = sandbox.json("list")["projects"]
    assert (listed["project"], listed["state"]) == ("q", "waiting")
    shown = sandbox.guestwire("list").stdout.splitlines()
    assert shown[0].split() == ["PROJECT", "HOST", "NAMESPACES", "STATE", "FILE"]
    assert "waiting for confirm, " in shown[1]
    assert str(sandbox.folder) in shown[1]
    sandbox.guestwire("confirm")
    assert sandbox.json("list")["projects"][0]["state"] == "up"
    sandbox.guestwire("down", "--project", "q")


def test_a_rehearsal_names_no_option_of_ups(sandbox: Sandbox) -> None:
    sandbox.write(
        "name: p\nnetworks: {lan: {type: bridge, subnet: 10.1.0.0/24}}\n"
        "guests: {web: {nics: [lan]}, db: {nics: [lan]}}\nexpect: [web does not reach db]\n"
    )
    done = sandbox.guestwire("try", "--project", "q", check=False)
    assert done.returncode == 1
    assert "--keep" not in done.stderr
    assert "q-web" in done.stdout
