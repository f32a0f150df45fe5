"""What is begun on before the file is understood: guessed right or wrong, too early or not, the result is the same."""

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
GUESSED = """\
from guestwire.api.foreseen import ahead
with ahead('guestwire.yaml') as begun:
    print(*(name for name, value in begun._asdict().items() if value))
"""


def _guests(sandbox: Sandbox) -> int:
    return sum(line.startswith("many-g-") for line in sandbox.sh("ip netns list").splitlines())


def test_many_guests_are_begun_on_and_up_once(sandbox: Sandbox) -> None:
    before = sandbox.snapshot()
    sandbox.write(MANY)
    assert sandbox.python(GUESSED).stdout == "stock\n"
    sandbox.guestwire("up")
    assert _guests(sandbox) == 60
    assert sandbox.answers("10.77.0.2", "many-g-60")
    assert sandbox.python(GUESSED).stdout == "readings\n"  # they are there: none is wanted
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


def test_what_was_read_ahead_shows_drift(sandbox: Sandbox) -> None:
    before = sandbox.snapshot()
    sandbox.write(MANY)
    sandbox.guestwire("up")
    assert sandbox.json("status")["drift"] == []
    sandbox.sh("ip -n many-g-7 link set eth0 down; ip -n many-g-9 address flush dev eth0")
    assert {each["netns"] for each in sandbox.json("status")["drift"]} == {"many-g-7", "many-g-9"}
    sandbox.guestwire("up")
    assert sandbox.json("status")["drift"] == []
    sandbox.guestwire("down")
    assert sandbox.snapshot() == before


def test_what_was_read_before_another_change_does_not_count(sandbox: Sandbox) -> None:
    """As where another `up` of the project ends while we wait for its lock."""
    sandbox.write(MANY)
    sandbox.guestwire("up")
    code = """\
import os, subprocess, sys
from guestwire import api
with api.ahead('guestwire.yaml') as begun:
    assert begun.readings
    os.waitid(os.P_PID, begun.readings._beside.pid, os.WEXITED | os.WNOWAIT)  # all is read
    text = open('guestwire.yaml').read()
    open('other.yaml', 'w').write(text.replace('nics: [n]', 'nics: [{network: n, mtu: 1400}]'))
    subprocess.run([sys.executable, '-m', 'guestwire', 'up', 'other.yaml'], check=True, stdout=subprocess.DEVNULL)
    print(len(api.up('guestwire.yaml', foreseen=begun).plan.steps) > 0)
"""
    assert sandbox.python(code).stdout == "True\n"
    assert "mtu 1500" in sandbox.sh("ip -n many-g-7 link show eth0")
    assert sandbox.json("status")["drift"] == []
