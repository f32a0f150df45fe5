"""Which project, host and guest the words of a verb mean; and that whatever a verb does, --json is one document."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from tests.sandbox import Sandbox, ended

FILE = "name: p\nnetworks: {lan: {type: bridge, subnet: 10.1.0.0/24}}\nguests: {web: {nics: [lan]}}\n"


def test_a_project_is_found_by_its_name_wherever_its_file_is(sandbox: Sandbox) -> None:
    sandbox.write(FILE, "net.yaml")
    sandbox.guestwire("up", "net.yaml", "--lab", "--project", "q")
    for named in (["--project", "q"], []):  # the only one that is up is meant also without a word
        assert sandbox.json("status", *named)["project"] == "q"
        assert [guest["state"] for guest in sandbox.json("status", *named)["guests"]] == ["up"]
        assert sandbox.json("check", *named)["held"]
    assert "q-web" in sandbox.guestwire("draw", "--project", "q").stdout
    assert sandbox.json("export", "--project", "q")["documents"][0]["file"] == "q-lan.xml"
    sandbox.guestwire("up", "net.yaml", "--lab")
    said = sandbox.guestwire("check", check=False)
    assert (said.returncode, "--project p or q" in said.stderr) == (64, True)
    sandbox.guestwire("down", "net.yaml")
    again = sandbox.guestwire("down", "net.yaml")
    assert again.stdout == "p: nothing is up.\n"
    assert "`guestwire down --project q` takes it down" in again.stderr
    assert [each["project"] for each in sandbox.json("list")["projects"]] == ["q"]
    sandbox.guestwire("down", "--project", "q")
    assert sandbox.json("list")["projects"] == []


def test_one_that_is_not_up_is_named_where_there_is_no_file(sandbox: Sandbox) -> None:
    for verb in (["status"], ["check"], ["draw"], ["export"]):
        error = sandbox.json(*verb, "--project", "p", code=64)["error"]
        assert error["message"] == 'project "p" isn\'t up.'
        assert "guestwire list" in error["hint"]
    sandbox.write(FILE)
    assert not sandbox.json("status", "--project", "p")["up"]


def test_a_broken_file_keeps_nothing_up(sandbox: Sandbox) -> None:
    sandbox.write(FILE)
    sandbox.guestwire("up", "--project", "other")
    sandbox.write("networks: {lan: {type: bride}}\n")
    *wrong, last = sandbox.json("down", code=65)["errors"]
    assert wrong
    assert last["hint"] == "`guestwire down --project other`."
    sandbox.write(FILE.replace("10.1.", "10.2."))
    sandbox.guestwire("up")
    sandbox.write("networks: {lan: {type: bride}}\n")
    assert sandbox.guestwire("down").stdout.startswith("p is down")
    error = sandbox.json("down", "none.yaml", code=65)["errors"][-1]
    assert error["hint"] == "`guestwire down --project other`."
    sandbox.guestwire("down", "--project", "other")
    assert len(sandbox.json("down", "none.yaml", code=65)["errors"]) == 1


def test_a_file_that_comes_by_a_pipe_is_asked_for_again(sandbox: Sandbox) -> None:
    sandbox.run(sys.executable, "-m", "guestwire", "up", "-", text=FILE)
    said = sandbox.guestwire("status", "--project", "p", check=False)
    assert said.returncode == 64
    assert "was built from standard input" in said.stderr
    sandbox.guestwire("down", "--project", "p")


def test_a_guest_is_whose_its_mark_says(sandbox: Sandbox) -> None:
    for project, guest in (("a", "b-c"), ("a-b", "d")):
        sandbox.write(f"name: {project}\nguests: {{{guest}: {{}}}}\n")
        sandbox.guestwire("up")
    sandbox.sh("ip netns add a-stranger")
    for wrong in ("a-b/c", "a/stranger", "stranger"):
        said = sandbox.guestwire("exec", wrong, "--", "true", check=False)
        assert said.returncode == 64, wrong
        assert "There is b-c, d." in said.stderr
    for right in ("a/b-c", "b-c", "d", "a-b/d"):
        sandbox.guestwire("exec", right, "--", "true")
    sandbox.guestwire("down", "--project", "a")
    sandbox.guestwire("down", "--project", "a-b")


def test_only_the_named_host_is_settled(sandbox: Sandbox) -> None:
    sandbox.sh("ip netns add one; ip netns add two; ip -n one link set lo up; ip -n two link set lo up")
    for host in ("one", "two"):
        sandbox.write(f"name: of-{host}\nguests: {{web: {{}}}}\n")
        sandbox.guestwire("up", "--netns", host, "--confirm", "600")
    said = sandbox.guestwire("rollback", "--project", "of-one", "--netns", "two", check=False)
    assert (said.returncode, "project of-one is on host one" in said.stderr) == (65, True)
    assert sandbox.json("confirm", "--netns", "one")["settled"] == ["of-one: confirmed."]
    assert sandbox.json("rollback", "--netns", "one")["settled"] == []
    assert sandbox.json("rollback", "--netns", "two")["settled"] == ["of-two: all was undone."]
    sandbox.guestwire("down", "--project", "of-one")


@pytest.mark.parametrize(
    "words",
    [
        ["status"],
        ["draw"],
        ["rollback"],
        ["confirm"],
        ["down", "--project", "p"],
        ["tap", "list"],
        ["cable", "add", "p", "x", "y"],
        ["cable", "del", "p", "x"],
    ],
    ids=" ".join,
)
def test_a_host_that_is_not_there_is_said_to_be_none(sandbox: Sandbox, words: list[str]) -> None:
    error = sandbox.json(*words, "--netns", "nonsuch", code=64)["error"]
    assert error["message"] == 'there is no network namespace "nonsuch".'


def test_an_end_of_a_cable_is_named_where_it_is_none(sandbox: Sandbox) -> None:
    sandbox.guestwire("tap", "add", "t0")
    sandbox.sh("ip link add v0 type veth peer name v1")
    for words, why in (
        (("nix", "t0"), 'there is no link "nix" here'),
        (("t0", "none/t1"), 'there is no network namespace "none"'),
        (("v0", "t0"), "v0 is no tap, but a veth"),
        (("t0", "v0"), "v0 is no tap or macvtap, but a veth"),
        (("t0", "lo"), "lo is no tap or macvtap."),
    ):
        assert why in sandbox.json("cable", "add", "p", *words, code=64)["error"]["message"]
    assert sandbox.json("cable", "list")["cables"] == []
    sandbox.guestwire("tap", "del", "t0")


def test_what_a_guest_says_stays_out_of_the_document(sandbox: Sandbox) -> None:
    sandbox.write(FILE)
    sandbox.guestwire("up")
    done = sandbox.guestwire("exec", "web", "--json", "--", "sh", "-c", "echo said; exit 3", check=False)
    assert (done.returncode, done.stderr) == (3, "said\n")
    assert json.loads(done.stdout) == {"guest": "web", "command": ["sh", "-c", "echo said; exit 3"], "code": 3}
    pinging = sandbox.inside("ip", "netns", "exec", "p-web", "ping", "-i0.1", "10.1.0.1")
    with subprocess.Popen(pinging, stdout=subprocess.DEVNULL) as process, ended(process):
        found = sandbox.json("pcap", "web", "--count", "2")
    assert (found["guest"], len(found["frames"]), found["dropped"]) == ("web", 2, 0)
    for frame in found["frames"]:
        assert len(frame["data"]) == 2 * frame["length"]
    sandbox.guestwire("down")
