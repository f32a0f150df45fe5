"""Namespaces made ahead: taken while there are, and gone with whoever doesn't take them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.sandbox import Sandbox, sandboxed

START = """\
import json, os, signal
from guestwire.linux import namespaces
from guestwire.linux.kernel import Kernel
from guestwire.linux.rtnetlink import dump_links
from guestwire.linux.stock import Stock
before = os.listdir('/proc/self/fd')
stock = Stock(40)
"""


@pytest.fixture
def sandbox(tmp_path: Path) -> Iterator[Sandbox]:
    with sandboxed(tmp_path) as made:
        yield made


def test_each_that_is_taken_is_a_namespace_of_its_own_with_a_socket_in_it(sandbox: Sandbox) -> None:
    code = START + (
        "with Kernel(stock) as kernel:\n"
        "    for number in range(42):\n"
        "        kernel.create_namespace(f'n{number}')\n"
        "    numbers = {namespaces.identity(kernel.fd(f'n{n}')) for n in range(42)}\n"
        "    links = [[link.name for link in dump_links(kernel.socket(f'n{n}'))] for n in range(42)]\n"
        "print(json.dumps([len(numbers), links]))\n"
    )
    assert json.loads(sandbox.python(code).stdout) == [42, [["lo"]] * 42]
    assert len(sandbox.sh("ip netns list").splitlines()) == 42
    for number in (0, 39, 41):  # from the stock, its last, and one that was made when it was wanted
        assert sandbox.sh(f"ip -n n{number} -br link").split()[0] == "lo"


def test_a_name_that_is_taken_is_refused_and_stays_as_it_is(sandbox: Sandbox) -> None:
    sandbox.sh("ip netns add n && ip -n n link set lo up")
    code = START + (
        "with Kernel(stock) as kernel:\n"
        "    try:\n"
        "        kernel.create_namespace('n')\n"
        "    except FileExistsError:\n"
        "        print('refused')\n"
    )
    assert sandbox.python(code).stdout == "refused\n"
    assert "UP" in sandbox.sh("ip -n n link show lo")


def test_what_is_left_goes_with_the_stock(sandbox: Sandbox) -> None:
    code = START + (
        "fd, sock = stock.take()\n"
        "print(os.get_inheritable(fd), os.get_inheritable(sock.fileno()))\n"
        "stock.close()\n"
        "sock.close(); os.close(fd)\n"
        "try:\n"
        "    os.waitpid(-1, os.WNOHANG)\n"
        "except ChildProcessError:\n"
        "    print('no child')\n"
        "print(os.listdir('/proc/self/fd') == before)\n"
    )
    assert sandbox.python(code).stdout == "False False\nno child\nTrue\n"


def test_what_a_process_that_was_killed_has_made_is_taken_yet(sandbox: Sandbox) -> None:
    code = START + (
        "first = stock.take()\n"
        "os.kill(stock._beside.pid, signal.SIGKILL)\n"
        "taken = 1\n"
        "while stock.take():\n"
        "    taken += 1\n"
        "print(16 <= taken <= 40 and stock.take() is None)\n"
    )
    assert sandbox.python(code).stdout == "True\n"


def test_it_ends_with_who_began_it(sandbox: Sandbox) -> None:
    before = sandbox.snapshot()
    code = START + "print(stock._beside.pid)\nos.kill(os.getpid(), signal.SIGKILL)\n"
    pid = sandbox.python(code, check=False).stdout.strip()
    sandbox.sh(f"while grep -q 'State:.[^Z]' /proc/{pid}/status 2>/dev/null; do :; done")
    assert sandbox.snapshot() == before
