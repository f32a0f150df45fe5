"""`up` keeps what the file expects: where an expectation fails the change goes back, or stays where that is asked."""

from __future__ import annotations

import json
import signal
from typing import Any

import pytest

from tests.sandbox import Sandbox
from tests.world.test_confirm import same

FILE = """
name: p
networks: {{net: {{type: bridge, subnet: [10.77.0.0/24, "fd00:77::/64"], port: {{isolated: {isolated}}}}}}}
guests: {{a: {{nics: [net]}}, b: {{nics: [net]}}, c: {{kind: process, nics: [net]}}}}
expect: {expect}
"""
HOLD = ["a reaches b", "a reaches b on tcp/80", "a reaches host"]


def written(sandbox: Sandbox, *expect: str, isolated: bool = False) -> None:
    sandbox.write(FILE.format(isolated=str(isolated).lower(), expect=json.dumps(expect)))


def cost(sandbox: Sandbox) -> float:
    """Seconds of a processor that `up` takes, with all that it starts: by the clock it is others' load, too."""
    script = (
        "import resource\nfrom guestwire.cli.main import main\nassert main(['up', '--quiet']) == 0\n"
        "used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]\n"
        "print(sum(each.ru_utime + each.ru_stime for each in used))\n"
    )
    return float(sandbox.python(script).stdout.split()[-1])


def held(document: dict[str, Any]) -> dict[str, tuple[bool | None, bool | None]]:
    """Of each expectation whether it held before, and whether it does."""
    return {each["text"]: (each["before"], each["held"]) for each in document["expectations"]}


def test_what_holds_is_kept_and_costs_little(sandbox: Sandbox) -> None:
    written(sandbox, *HOLD)
    assert held(sandbox.json("up")) == dict.fromkeys(HOLD, (None, True))
    assert sandbox.json("up")["expectations"] == []  # nothing to do: nothing is measured
    idle = cost(sandbox)
    written(sandbox, *HOLD, "b reaches a")
    sandbox.guestwire("down")
    assert cost(sandbox) < 3 * idle + 1


def test_what_fails_is_taken_back_and_told(sandbox: Sandbox) -> None:
    before = sandbox.snapshot()
    written(sandbox, *HOLD, "a does not reach host", isolated=True)
    done = sandbox.guestwire("up", check=False)
    assert done.returncode == 1
    *lines, last = done.stderr.splitlines()
    assert [line.split("; but ")[0] for line in lines] == [
        "guestwire: expected: a reaches b",
        "guestwire: expected: a reaches b on tcp/80",
        "guestwire: expected: a does not reach host",
    ]
    assert "doesn't answer ARP" in lines[0]
    assert last == "All was undone. `--keep` keeps the change all the same."
    same(sandbox.snapshot(), before)
    document = sandbox.json("up", code=1)
    assert document["error"]["code"] == 1
    assert held(document)["a reaches host"] == (None, True)
    assert held(document)["a reaches b"] == (None, False)


def test_keep_keeps_it(sandbox: Sandbox) -> None:
    written(sandbox, *HOLD, isolated=True)
    done = sandbox.guestwire("up", "--keep", check=False)
    assert done.returncode == 1
    assert done.stdout.startswith("p is up")
    assert done.stderr.count("It was kept all the same.") == 2
    assert not sandbox.json("plan")["changes"]
    assert sandbox.guestwire("down").returncode == 0


def test_what_held_before_is_named_first(sandbox: Sandbox) -> None:
    written(sandbox, *HOLD)
    sandbox.guestwire("up")
    before = sandbox.snapshot()
    never = ["host does not reach a", "b does not reach host"]
    written(sandbox, *never, *HOLD, isolated=True)
    done = sandbox.guestwire("up", check=False)
    assert done.returncode == 1
    *lines, last = done.stderr.splitlines()
    assert [line.split("; but ")[0].removeprefix("guestwire: expected: ") for line in lines] == [
        "a reaches b, which held before the change",
        "a reaches b on tcp/80, which held before the change",
        *never,
    ]
    assert last == "All was undone. `--keep` keeps the change all the same."
    same(sandbox.snapshot(), before)
    document = sandbox.json("up", "--keep", code=1)
    assert held(document) == {
        **dict.fromkeys(never, (False, False)),
        "a reaches b": (True, False),
        "a reaches b on tcp/80": (True, False),
        "a reaches host": (True, True),
    }


def test_what_cant_be_measured_is_told_and_no_reason(sandbox: Sandbox) -> None:
    written(sandbox, "c reaches a", "a reaches b")
    done = sandbox.guestwire("up")
    assert done.stderr.startswith("warning: expected: c reaches a; that can't be measured: ")
    assert len(done.stderr.splitlines()) == 1
    assert held(sandbox.json("up")) == {}


def test_leases_are_waited_for(sandbox: Sandbox) -> None:
    sandbox.write(
        "name: p\nnetworks: {lan: {type: bridge, uplink: eth0}}\n"
        "guests: {a: {nics: [{network: lan, address: dhcp}]}}\nexpect: [a reaches internet, lan reaches a]\n"
    )
    assert set(held(sandbox.json("up", "--lab")).values()) == {(None, True)}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_while_it_is_judged_undoes_all(number: signal.Signals, sandbox: Sandbox) -> None:
    before = sandbox.snapshot()
    written(sandbox, "a reaches b", isolated=True)
    script = (
        "import os, signal, sys\nfrom guestwire import reach\nfrom guestwire.api import measure\n"
        "def judge(*_):\n    os.kill(os.getpid(), int(sys.argv[1]))\n    signal.pause()\n"
        "measure.reach.judge = judge\nfrom guestwire.cli.main import main\nsys.exit(main(['up']))\n"
    )
    done = sandbox.python(script, str(int(number)), check=False)
    assert done.returncode == 130, done.stderr
    assert "interrupted; all was undone." in done.stderr
    same(sandbox.snapshot(), before)


def test_it_waits_for_a_confirmation_after_it_was_judged(sandbox: Sandbox) -> None:
    before = sandbox.snapshot()
    written(sandbox, *HOLD, isolated=True)
    assert sandbox.guestwire("up", "--confirm", "600", check=False).returncode == 1
    same(sandbox.snapshot(), before)
    done = sandbox.guestwire("up", "--confirm", "600", "--keep", "--json", check=False)
    assert done.returncode == 1
    assert json.loads(done.stdout)["confirm"]["seconds"] == 600
    sandbox.guestwire("confirm")
    assert sandbox.json("status")["drift"] == []
