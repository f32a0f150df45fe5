"""What a project borrows of a host is given back as it was when nobody needs it any more, and no more than was lent."""

from __future__ import annotations

import json

import pytest

from tests.sandbox import Sandbox

NICS = """
ip netns add out
for i in 0 1; do
  ip link add eth$i type veth peer name sw$i netns out
  ip link set eth$i up
  ip -n out link set sw$i up
done
"""
A = """
name: a
networks: {d: {type: macvtap, uplink: eth1, subnet: 10.9.0.0/24, host-access: true}}
guests: {g: {nics: [d]}}
"""
B = """
name: b
networks: {d: {type: macvtap, uplink: eth1, subnet: 10.10.0.0/24}}
guests: {g: {nics: [d]}, h: {nics: [d]}}
expect: [g reaches h]
"""
BRIDGE = """
name: c
networks: {l: {type: bridge, uplink: eth1}}
guests: {h: {nics: [{network: l, address: 198.51.100.7/24}]}}
"""
NONE = "No project is up.\n"


def up(sandbox: Sandbox, name: str, text: str) -> None:
    sandbox.guestwire("up", str(sandbox.write(text, name)))


def refused(sandbox: Sandbox, name: str, text: str | None = None) -> str:
    if text is not None:
        sandbox.write(text, name)
    done = sandbox.guestwire("up", name, check=False)
    assert done.returncode == 65, done.stderr
    return done.stderr


def is_up(sandbox: Sandbox, link: str) -> bool:
    return "UP" in sandbox.sh(f"ip -o link show {link} | grep -o '<.*>'").strip("<>\n").split(",")


def test_a_nic_stays_up_until_the_last_project_on_it_goes(sandbox: Sandbox) -> None:
    sandbox.sh(NICS + "ip link set eth1 down")
    up(sandbox, "a.yaml", A)
    up(sandbox, "b.yaml", B)
    sandbox.guestwire("down", "a.yaml")
    assert is_up(sandbox, "eth1")
    sandbox.guestwire("check", "b.yaml")
    assert sandbox.json("up", "b.yaml")["changes"] == []
    sandbox.guestwire("down", "b.yaml")
    assert not is_up(sandbox, "eth1")


def test_a_guest_with_a_process_in_it_leaves_no_nic_behind(sandbox: Sandbox) -> None:
    sandbox.sh(NICS)
    up(sandbox, "b.yaml", B)
    sandbox.sh('ip netns exec b-h sleep 300 >/dev/null 2>&1 & until [ -n "$(ip netns pids b-h)" ]; do :; done')
    sandbox.guestwire("down", "b.yaml")
    assert "promiscuity 0" in sandbox.sh("ip -d link show eth1")
    up(sandbox, "b.yaml", B)
    sandbox.guestwire("down", "b.yaml")


def test_what_somebody_else_has_set_on_a_lent_nic_stays(sandbox: Sandbox) -> None:
    sandbox.sh(NICS)
    up(sandbox, "c.yaml", BRIDGE)
    sandbox.sh("ip link set eth1 mtu 1400; ip link set eth1 address 02:00:00:00:00:77")
    assert all(change["name"] != "eth1" for change in sandbox.json("plan", "c.yaml")["changes"])
    sandbox.guestwire("down", "c.yaml")
    assert "mtu 1400" in sandbox.sh("ip link show eth1")
    assert "02:00:00:00:00:77" in sandbox.sh("ip link show eth1")


def test_a_nic_that_was_put_into_another_bridge_stays_there(sandbox: Sandbox) -> None:
    sandbox.sh(NICS)
    up(sandbox, "c.yaml", BRIDGE)
    sandbox.sh("ip link add mybr type bridge; ip link set eth1 nomaster; ip link set eth1 master mybr")
    assert "already a port of bridge mybr" in refused(sandbox, "c.yaml")
    sandbox.guestwire("down", "c.yaml")
    assert "master mybr" in sandbox.sh("ip link show eth1")


def test_a_nic_that_has_gone_is_told_as_at_first(sandbox: Sandbox) -> None:
    sandbox.sh(NICS)
    up(sandbox, "c.yaml", BRIDGE)
    sandbox.sh("ip link delete eth1")
    assert 'network "l": the host has no link eth1' in refused(sandbox, "c.yaml")
    sandbox.guestwire("down", "c.yaml")
    assert sandbox.guestwire("list").stdout == NONE


def test_another_projects_nic_and_bridge_are_named(sandbox: Sandbox) -> None:
    sandbox.sh(NICS)
    up(sandbox, "b.yaml", B)
    assert "in use by project b" in refused(sandbox, "c.yaml", BRIDGE)
    sandbox.guestwire("down", "b.yaml")
    up(sandbox, "c.yaml", BRIDGE)
    for uplink in ("eth1", "c-l"):
        other = BRIDGE.replace("name: c", "name: d").replace("eth1", uplink)
        assert "project c" in refused(sandbox, "d.yaml", other)


def test_a_project_whose_state_is_lost_is_taken_up_again(sandbox: Sandbox) -> None:
    sandbox.sh(NICS)
    up(sandbox, "c.yaml", BRIDGE)
    sandbox.sh("rm -r /run/guestwire")
    assert sandbox.json("up", "c.yaml")["changes"] == []
    sandbox.guestwire("down", "c.yaml")
    assert "master" not in sandbox.sh("ip link show eth1")


def test_a_state_from_before_uses_were_noted_is_read(sandbox: Sandbox) -> None:
    sandbox.sh(NICS + "ip link set eth1 down")
    up(sandbox, "c.yaml", BRIDGE)
    state = json.loads(sandbox.sh("cat /run/guestwire/c/state.json"))
    older = {name: value for name, value in state.items() if name in ("project", "host", "loans")}
    sandbox.sh(f"echo '{json.dumps(older)}' >/run/guestwire/c/state.json")
    assert sandbox.json("status", "c.yaml")["drift"] == []
    assert sandbox.json("up", "c.yaml")["changes"] == []
    sandbox.sh(f"echo '{json.dumps(older)}' >/run/guestwire/c/state.json")
    sandbox.guestwire("down", "c.yaml")
    assert sandbox.guestwire("list").stdout == NONE
    assert not is_up(sandbox, "eth1")


@pytest.mark.parametrize("content", ["", "[]", "nothing of ours", '{"project": "c", "host": "", "newer": 1}'])
def test_a_state_that_cannot_be_read_is_told_of_and_the_marks_do_without_it(sandbox: Sandbox, content: str) -> None:
    sandbox.sh(NICS)
    up(sandbox, "b.yaml", B)
    sandbox.sh(f"echo '{content}' >/run/guestwire/b/state.json")
    for verb in ("up", "status", "down"):
        done = sandbox.guestwire(verb, "b.yaml", check=False)
        assert done.returncode == 69
        assert "/run/guestwire/b/state.json can't be read" in done.stderr
    sandbox.sh("rm /run/guestwire/b/state.json")
    sandbox.guestwire("down", "b.yaml")
    assert sandbox.guestwire("list").stdout == NONE


def test_down_needs_no_good_file_and_takes_none_from_elsewhere(sandbox: Sandbox) -> None:
    sandbox.sh(NICS)
    up(sandbox, "b.yaml", B)
    assert sandbox.guestwire("down", check=False).returncode == 65
    sandbox.write(B + "foo: 1\n", "b.yaml")
    sandbox.guestwire("down", "b.yaml")
    assert sandbox.guestwire("list").stdout == NONE
