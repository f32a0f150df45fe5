"""Namespaces that `up` begins on before it has understood its file: guessed right or wrong, the result is the same."""

from __future__ import annotations

import sys

from tests.sandbox import Sandbox

MANY = """\
name: many
networks:
  n: {type: bridge, subnet: 10.77.0.0/16}
guests:
  g: {count: 60, nics: [n]}
"""
GUESSED = (
    "from guestwire.api.foreseen import ahead\nwith ahead('guestwire.yaml') as stock:\n    print(stock is not None)\n"
)


def _guests(sandbox: Sandbox) -> int:
    return sum(line.startswith("many-g-") for line in sandbox.sh("ip netns list").splitlines())


def test_many_guests_are_begun_on_and_up_once(sandbox: Sandbox) -> None:
    before = sandbox.snapshot()
    sandbox.write(MANY)
    assert sandbox.python(GUESSED).stdout == "True\n"
    sandbox.guestwire("up")
    assert _guests(sandbox) == 60
    sandbox.sh("ip netns exec many-g-60 ping -c 1 -W 5 10.77.0.2")
    assert sandbox.python(GUESSED).stdout == "False\n"  # they are there: none is wanted
    assert "nothing to do" in sandbox.guestwire("up").stdout.lower()
    sandbox.guestwire("down")
    assert sandbox.snapshot() == before


def test_a_wrong_guess_changes_nothing(sandbox: Sandbox) -> None:
    before = sandbox.snapshot()
    sandbox.write("# count: 400\n" + MANY)
    sandbox.guestwire("up")
    assert _guests(sandbox) == 60
    sandbox.guestwire("down")
    assert sandbox.snapshot() == before


def test_a_file_that_is_wrong_leaves_nothing_of_what_was_begun(sandbox: Sandbox) -> None:
    before = sandbox.snapshot()
    sandbox.write(MANY.replace("nics: [n]", "nics: [m]"))
    assert sandbox.guestwire("up", check=False).returncode == 65
    assert sandbox.snapshot() == before


def test_a_file_that_can_be_read_but_once_is_left_to_who_reads_it(sandbox: Sandbox) -> None:
    sandbox.write(MANY, "other.yaml")
    script = 'mkfifo pipe; cat other.yaml > pipe & exec "$0" -m guestwire up pipe'
    sandbox.run("sh", "-c", script, sys.executable)
    assert _guests(sandbox) == 60
