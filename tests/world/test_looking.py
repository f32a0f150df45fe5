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
