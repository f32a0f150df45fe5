"""Namespaces read ahead: the same as read by ourselves, used once, and not where they may have changed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.sandbox import Sandbox, sandboxed

START = """\
import json, os, signal
from guestwire.linux.kernel import Kernel
from guestwire.linux.reading import Readings, read_namespace
names = [f'n{number}' for number in range(40)]
before = os.listdir('/proc/self/fd')
def now(name):
    with Kernel() as kernel:
        return read_namespace(kernel.socket(name))
"""


@pytest.fixture
def sandbox(tmp_path: Path) -> Iterator[Sandbox]:
    with sandboxed(tmp_path) as made:
        made.sh(
            "for n in $(seq 0 39); do ip netns add n$n; done; ip link add br0 type bridge; ip link add v type veth "
            "peer name eth0 netns n7; ip link set v master br0 up; ip -n n7 link set lo up; ip -n n7 link set eth0 up; "
            "ip -n n7 address add 192.0.2.7/24 dev eth0; ip -n n7 address add 2001:db8::7/64 dev eth0 nodad; "
            "ip -n n7 route add default via 192.0.2.1; ip -n n7 route add default via 2001:db8::1; "
            "ip netns exec n7 ping -c 1 -W 5 192.0.2.7"
        )
        yield made


def test_what_was_read_ahead_is_what_is_there_and_is_used_once(sandbox: Sandbox) -> None:
    code = START + (
        "readings = Readings(['absent', *names], lambda: True)\n"
        "same = [readings.take(name) == now(name) for name in reversed(names)]\n"
        "kinds = [len(told) for told in now('n7')]\n"
        "again = readings.take('n7')\n"
        "readings.close()\n"
        "print(json.dumps([all(same), kinds, again, os.listdir('/proc/self/fd') == before]))\n"
    )
    assert json.loads(sandbox.python(code).stdout) == [True, [2, 3, 2], None, True]


def test_nothing_counts_that_may_have_changed(sandbox: Sandbox) -> None:
    code = START + ("readings = Readings(names, lambda: False)\nprint([readings.take(name) for name in names[:2]])\n")
    assert sandbox.python(code).stdout == "[None, None]\n"


def test_one_that_has_gone_is_gone(sandbox: Sandbox) -> None:
    code = START + (
        "readings = Readings(names, lambda: True)\n"
        "print(readings.take('n39') is not None)\n"
        "with Kernel(ahead=readings) as kernel:\n"
        "    os.system('ip netns delete n7')\n"
        "    try:\n"
        "        kernel.reading('n7')\n"
        "    except FileNotFoundError:\n"
        "        print('gone')\n"
    )
    assert sandbox.python(code).stdout == "True\ngone\n"


def test_what_a_killed_process_beside_didnt_read_is_left_to_us(sandbox: Sandbox) -> None:
    code = START + (
        "readings = Readings(names, lambda: True)\n"
        "os.kill(readings._beside.pid, signal.SIGKILL)\n"
        "with Kernel(ahead=readings) as kernel:\n"
        "    print(all(kernel.reading(name) == now(name) for name in names))\n"
        "readings.close()\n"
    )
    assert sandbox.python(code).stdout == "True\n"
