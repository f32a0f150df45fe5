"""What the pages promise in words, tried out."""

from __future__ import annotations

import json
from pathlib import Path

from tests.sandbox import Sandbox

PRIVATE = """\
name: shop
networks:
  private: {type: bridge, subnet: 10.77.0.0/24}
guests:
  web: {nics: [private]}
  db: {nics: [private]}
"""
WHOLE = """\
name: whole
networks:
  all: {type: macvtap, uplink: nic0, mode: passthru}
guests:
  router: {nics: [{network: all, address: 10.1.1.2/24, mac: "52:54:00:00:00:99"}]}
"""


def mac(sandbox: Sandbox, *where: str) -> str:
    return str(json.loads(sandbox.run("ip", *where[:-1], "-j", "link", "show", "dev", where[-1]).stdout)[0]["address"])


def addresses(sandbox: Sandbox) -> dict[str, list[str]]:
    return {guest["name"]: guest["nics"][0]["addresses"] for guest in sandbox.json("status")["guests"]}


def test_after_a_kill_those_who_look_are_told(sandbox: Sandbox) -> None:
    """docs/trouble.md: `up`, `down`, `plan` and `status` say so, with 75, and `rollback` settles it."""
    before = sandbox.snapshot()
    sandbox.write(PRIVATE)
    sandbox.guestwire("up", check=False, env={"GUESTWIRE_FAULT": "kill:9"})
    for verb in ("up", "down", "plan", "status"):
        assert "rollback" in sandbox.json(verb, code=75)["error"]["hint"]
    sandbox.guestwire("rollback")
    assert sandbox.snapshot() == before


def test_addresses_stick(sandbox: Sandbox) -> None:
    """docs/files.md: a guest that is up keeps its address when guests are added before it."""
    sandbox.write(PRIVATE)
    sandbox.guestwire("up")
    before = addresses(sandbox)
    sandbox.write(PRIVATE.replace("  web:", "  first: {nics: [private]}\n  web:"))
    sandbox.guestwire("up")
    assert addresses(sandbox) == {"first": ["10.77.0.4/24"], **before}


def test_passthru_shares_the_guests_mac_and_gives_the_nic_its_own_back(sandbox: Sandbox) -> None:
    """docs/ways/macvtap-passthru.md; and `up` again finds all as it should be."""
    sandbox.sh("ip link add nic0 type veth peer name sw0 && ip link set sw0 up")
    before = mac(sandbox, "nic0")
    sandbox.write(WHOLE)
    sandbox.guestwire("up")
    assert mac(sandbox, "nic0") == mac(sandbox, "-n", "whole-router", "eth0") == "52:54:00:00:00:99"
    assert sandbox.json("up")["changes"] == []
    sandbox.guestwire("down")
    assert mac(sandbox, "nic0") == before


def test_private_guests_hear_the_host_only_once_it_has_asked(sandbox: Sandbox, root: Path) -> None:
    """docs/ways/macvtap-private.md, on a switch that reflects."""
    example = str(root / "examples" / "macvtap-private.yaml")
    sandbox.guestwire("up", example, "--lab")
    ask = ("exec", "private/room-1", "--", "ping", "-c", "1", "-W", "1", "192.0.2.10")
    assert sandbox.guestwire(*ask, check=False).returncode != 0
    assert sandbox.answers("192.0.2.200", "private-host")
    assert sandbox.answers("192.0.2.10", "private-room-1")
