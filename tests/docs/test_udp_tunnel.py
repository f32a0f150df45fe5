"""examples/udp_tunnel.py: two namespaces talk through it, over a tun and over a tap, and what its page says of it."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.sandbox import SOURCE, Sandbox, ended

TUNNEL = Path(__file__).resolve().parents[2] / "examples" / "udp_tunnel.py"
CABLE = """
ip netns add n1; ip netns add n2
ip link add e1 netns n1 type veth peer name e2 netns n2
for end in 1 2; do
    ip -n n$end address add 192.0.2.$end/24 dev e$end
    ip -n n$end address add 2001:db8::$end/64 dev e$end nodad
    ip -n n$end link set e$end up
done
"""


@contextmanager
def tunnelled(sandbox: Sandbox, end: int, *words: str) -> Iterator[subprocess.Popen[str]]:
    """One end of a tunnel, from when it carries to its end by Ctrl-C."""
    command = sandbox.inside("ip", "netns", "exec", f"n{end}", sys.executable, str(TUNNEL), *words)
    environment = {"PYTHONPATH": str(SOURCE), "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment) as process, ended(process):
        assert process.stderr
        assert "unencrypted" in process.stderr.readline()
        yield process
        found = sandbox.sh(f"pgrep -f 'udp_tunnel.py.*--here.*[.:]{end}.*--there' | tail -1").strip()
        sandbox.run("kill", f"-{signal.SIGINT}", found)
        assert process.wait(timeout=60) == 0


@pytest.mark.parametrize("kind", ["tun", "tap"])
@pytest.mark.parametrize("outer", ["192.0.2.{}:5000", "[2001:db8::{}]:5000"], ids=["ipv4", "ipv6"])
def test_two_namespaces_talk_through_it(sandbox: Sandbox, kind: str, outer: str) -> None:
    sandbox.sh(CABLE)
    option = ["--tun"] if kind == "tun" else []
    for end in (1, 2):
        sandbox.guestwire("--netns", f"n{end}", "tap", "add", "t0", *option)
        sandbox.sh(f"ip -n n{end} address add 10.8.0.{end}/24 dev t0; ip -n n{end} link set t0 mtu 1400")
    ends = [outer.format(1), outer.format(2)]
    with (
        tunnelled(sandbox, 1, "t0", *option, "--here", ends[0], "--there", ends[1]),
        tunnelled(sandbox, 2, "t0", *option, "--here", ends[1], "--there", ends[0]),
    ):
        ping = ("ip", "netns", "exec", "n1", "ping", "-c", "3", "-i", "0.01", "-w", "20", "10.8.0.2")
        sandbox.run(*ping)  # three answers
        sandbox.run(*ping, "-M", "do", "-s", "1372")
        neighbours = sandbox.sh("ip -n n1 neigh show dev t0")
        assert ("10.8.0.2 lladdr" in neighbours) == (kind == "tap")  # Ethernet asks for MACs, IP needs none


def test_a_peer_that_is_not_there_is_waited_for(sandbox: Sandbox) -> None:
    sandbox.sh(CABLE)
    for end in (1, 2):
        sandbox.guestwire("--netns", f"n{end}", "tap", "add", "t0", "--tun")
        sandbox.sh(f"ip -n n{end} address add 10.8.0.{end}/24 dev t0")
    ping = ("ip", "netns", "exec", "n1", "ping", "-c", "1", "-W", "1", "10.8.0.2")
    with tunnelled(sandbox, 1, "t0", "--tun", "--here", "192.0.2.1:5000", "--there", "192.0.2.2:5000"):
        assert sandbox.run(*ping, check=False).returncode == 1
        assert sandbox.run(*ping, check=False).returncode == 1
        with tunnelled(sandbox, 2, "t0", "--tun", "--here", "192.0.2.2:5000", "--there", "192.0.2.1:5000"):
            assert sandbox.answers("10.8.0.2", "n1")


def test_it_says_why_it_cant(sandbox: Sandbox) -> None:
    def said(*words: str) -> str:
        done = sandbox.run(sys.executable, str(TUNNEL), *words, check=False)
        assert done.returncode == 64
        assert "Traceback" not in done.stderr
        return done.stderr

    ends = ("--here", "127.0.0.1:5000", "--there", "127.0.0.1:5001")
    assert "there is no tap t0 in this namespace" in said("t0", *ends)
    sandbox.guestwire("tap", "add", "t0")
    assert "t0 is a tap, not a tun. Use Tap" in said("t0", "--tun", *ends)


def test_its_page_has_every_line_of_it_that_matters() -> None:
    page = (TUNNEL.parents[1] / "docs" / "udp-tunnel.md").read_text(encoding="utf-8")
    source = TUNNEL.read_text(encoding="utf-8")
    shown = re.findall(r"^```python\n(.*?)^```$", page, re.M | re.S)
    assert len(shown) >= 3
    for block in shown:
        assert block in source, block
    assert "NOT ENCRYPTED" in source
    assert "not encrypted" in page.lower()
    assert len(source.splitlines()) <= 110
