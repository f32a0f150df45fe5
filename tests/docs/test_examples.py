"""Every example comes up in a lab, holds what it says, and goes without a trace."""

from __future__ import annotations

from pathlib import Path

import pytest

from guestwire.guests import KINDS
from guestwire.networks import TYPES
from guestwire.spec import load
from tests.examples import EXAMPLES, FOLDER, furnish
from tests.sandbox import Sandbox


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_example_holds_and_leaves_nothing(sandbox: Sandbox, example: Path) -> None:
    file = str(example)
    boots = furnish(example)
    before = sandbox.snapshot()
    assert sandbox.json("up", file, "--lab")["changes"]
    assert sandbox.json("up", file, "--lab")["changes"] == []
    assert sandbox.json("status", file)["drift"] == []
    if boots:
        sandbox.guestwire("exec", "--wait", "90", "vm", "--", "true")
    checked = sandbox.json("check", file)
    assert checked["expectations"]
    assert checked["held"], [each for each in checked["expectations"] if not each["held"]]
    assert sandbox.guestwire("draw", file).stdout
    sandbox.guestwire("down", file)
    assert sandbox.snapshot() == before


def test_each_way_has_an_example() -> None:
    files = [load(str(example), networks=TYPES, guests=KINDS) for example in FOLDER.rglob("*.yaml")]
    networks = [network for file in files for network in file.networks.values()]
    assert {network.type for network in networks} == set(TYPES) - {"macvlan"}
    modes = {str(getattr(network, "mode", "")) for network in networks}
    assert modes >= {"bridge", "vepa", "private", "passthru", "source"}


def test_vepa_needs_a_switch_that_reflects(sandbox: Sandbox, root: Path) -> None:
    """As macvtap-vepa.yaml says: with relay, guests and host reach one another."""
    text = (root / "examples" / "macvtap-vepa.yaml").read_text()
    assert text.count("relay: false}") == 1
    text = text.replace("relay: false}", "relay: true}").replace("does not reach", "reaches")
    sandbox.write(text)
    sandbox.guestwire("up", "--lab")
    assert sandbox.json("check")["held"]


def test_three_ways_shows_expectations_of_every_form(root: Path) -> None:
    file = load(str(root / "examples" / "three-ways.yaml"), networks=TYPES, guests=KINDS)
    assert {(each.reaches, each.proto) for each in file.expect} >= {
        (True, None),
        (False, None),
        (True, "tcp"),
        (True, "udp"),
    }
    assert len(file.networks) == 3
    assert any(guest.count for guest in file.guests.values())
