"""Random files hold what is promised of any: up again does nothing, check agrees, a change gives what a fresh up gives.

`make fuzz` tries more of them; a failure says its seed and shows the files.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import islice

import pytest
import yaml

from tests.fuzz.files import File, Files
from tests.sandbox import Sandbox, sandboxed
from tests.world.test_replay import assert_same, replay

pytestmark = pytest.mark.slow
REFUSED = 65
TRIES = 50
"""At most so many files in a row are refused."""


HOST = """
number=0
for nic in $(seq -f eth%g 0 6; seq -f up%g 0 8; seq -f pass%g 0 8); do
    number=$((number + 1))
    macs=$(printf '02:00:00:00:00:%02x 02:00:00:00:01:%02x' $number $number)
    echo link add $nic mtu 1450 address ${macs% *} type veth peer name far-$nic mtu 1450 address ${macs#* }
    echo link set far-$nic up
done | ip -batch -
ip link set eth0 up
ip address add 198.51.100.10/24 dev eth0
ip address add 2001:db8:2::10/64 dev eth0 nodad
ip route add default via 198.51.100.1
ip -6 route add default via 2001:db8:2::1
ip link set up1 up
ip address add 198.18.0.1/24 dev up1
until ip -6 route show table local | grep -q 2001:db8:2::10; do sleep 0.01; done
"""
"""Makes a host with all NICs that the files name: two have addresses, one leads out, the others are down."""


def test_a_file_and_a_change_of_it(sandbox: Sandbox, tmp_path_factory: pytest.TempPathFactory, seed: int) -> None:
    """In a lab or, with an odd seed, on a host."""
    files = Files(seed)
    lab, host = ([], HOST) if seed % 2 else (["--lab"], ":")
    sandbox.sh(host)
    before = sandbox.snapshot()
    file = accepted(sandbox, files.files(), *lab)
    commands = sandbox.guestwire("plan", *lab, "--commands").stdout
    sandbox.guestwire("up", *lab, "--no-guard")
    assert_settled(sandbox)
    with sandboxed(tmp_path_factory.mktemp("shell")) as shell:
        shell.sh(host)
        replay(shell, commands)
        assert_same(sandbox, shell)
    changed = accepted(sandbox, files.changes(file))
    sandbox.guestwire("up", "--no-guard")
    assert_settled(sandbox)
    with sandboxed(tmp_path_factory.mktemp("fresh")) as fresh:
        fresh.sh(host)
        fresh.write(text(changed))
        fresh.guestwire("up", *lab, "--no-guard")
        found, wanted = look(sandbox), look(fresh)
    assert (sorted(found - wanted), sorted(wanted - found)) == ([], [])
    sandbox.guestwire("down")
    assert sandbox.snapshot() == before


def text(file: File) -> str:
    return yaml.safe_dump(file, sort_keys=False, default_flow_style=None, width=120)


def accepted(sandbox: Sandbox, files: Iterator[File], *words: str) -> File:
    """Write the first of the files that `plan` accepts; `up` refuses what it refuses, and changes nothing then."""
    before = sandbox.snapshot()
    for file in islice(files, TRIES):
        sandbox.write(text(file))
        planned = sandbox.guestwire("plan", *words, check=False)
        if planned.returncode == 0:
            print(text(file))
            assert sandbox.snapshot() == before
            return file
        assert planned.returncode == REFUSED, text(file) + planned.stderr
        assert sandbox.guestwire("up", *words, check=False).returncode == REFUSED, text(file)
    raise AssertionError(f"{TRIES} files were refused, at last: {planned.stderr}")


def assert_settled(sandbox: Sandbox) -> None:
    """Nothing is left to do, also after looking at it in every way; what reaches whom is as foreseen."""
    assert sandbox.guestwire("up").stdout.endswith(": nothing to do.\n")
    assert sandbox.json("status")["drift"] == []
    pairs = sandbox.json("check")["pairs"]
    assert [pair for pair in pairs if pair["predicted"] not in (None, pair["measured"])] == []
    for words in (["draw"], ["draw", "--format", "svg"], ["list"], ["plan", "--exit-code"]):
        sandbox.guestwire(*words)


def look(sandbox: Sandbox) -> set[str]:
    """What is there, line by line, without what a change may leave otherwise: which address a NIC was assigned.

    Nor what comes by itself: numbers of links, and the route that an advertised prefix brings.
    """
    nics = [(guest["name"], nic) for guest in sandbox.json("status")["guests"] for nic in guest["nics"]]
    addresses = [(guest, nic["name"], each.partition("/")[0]) for guest, nic in nics for each in nic["addresses"]]
    names = {address: f"<{guest}.{nic}, IPv{6 if ':' in address else 4}>" for guest, nic, address in addresses}
    found = set()
    for part, told in sandbox.snapshot().items():
        for line in told.splitlines():
            if part in ("processes", "files") or re.search(r" table local |fe80:|^[0-9a-f:/]+ .* proto kernel", line):
                continue
            line = re.sub(r"^\d+: | link-netns(id)? \S+|(?<=@)[^ :]+", "", line)
            found.add(f"{part}: " + re.sub(r"[0-9a-f:.]{4,}", lambda match: names.get(match[0], match[0]), line))
    return found
