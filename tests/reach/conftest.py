"""Throw-away namespaces for the probes: made by plain `ip` commands, and nothing of them remains."""

from __future__ import annotations

import json
import os
import secrets
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from guestwire.linux.kernel import Kernel
from guestwire.reach import Seat, Station


class Network:
    """A bridge `br0` in a namespace of its own, and namespaces plugged into it."""

    def __init__(self) -> None:
        self.prefix = f"gwt{secrets.token_hex(4)}"
        self.made: list[str] = []
        self.switch = self.namespace("switch")
        self.ip(self.switch, "link add br0 type bridge")
        self.ip(self.switch, "link set br0 up")

    def namespace(self, name: str) -> str:
        full = f"{self.prefix}-{name}"
        self.run("ip", "netns", "add", full)
        self.made.append(full)
        self.ip(full, "link set lo up")
        return full

    def plug(self, name: str, *addresses: str, port: str = "") -> str:
        """A namespace with these addresses (with prefix) on a port of the bridge."""
        netns = self.namespace(name)
        self.ip(netns, f"link add eth0 type veth peer name {name} netns {self.switch}")
        self.ip(self.switch, f"link set dev {name} master br0 up")
        for address in addresses:
            self.ip(netns, f"address add {address} dev eth0{' nodad' if ':' in address else ''}")
        self.ip(netns, "link set eth0 up")
        # Both ends drop what is sent until the kernel has taken note of their carriers, in its own time.
        for where, link in ((netns, "eth0"), (self.switch, name)):
            while " state UP " not in self.run("ip", "-n", where, "-o", "link", "show", link):
                pass
        if port:
            self.run("bridge", "-n", self.switch, "link", "set", "dev", name, *port.split())
        return netns

    def station(self, name: str, *addresses: str, port: str = "", kind: str = "namespace") -> Station:
        """The same as a station."""
        netns = self.plug(name, *addresses, port=port)
        return Station(name, netns, (Seat("net", "eth0", tuple(a.partition("/")[0] for a in addresses)),), kind)

    def ip(self, netns: str, command: str) -> None:
        self.run("ip", "-n", netns, *command.split())

    def neighbours(self, netns: str) -> dict[str, str]:
        """Address and first state of each neighbour that isn't a multicast group."""
        out = self.run("ip", "-j", "-n", netns, "neighbour", "show", "nud", "all")
        entries: list[dict[str, Any]] = json.loads(out or "[]")
        return {e["dst"]: e["state"][0] for e in entries if e["state"] != ["NOARP"]}

    def exec(self, netns: str, *command: str) -> str:
        return self.run("ip", "netns", "exec", netns, *command)

    @staticmethod
    def run(*command: str) -> str:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{' '.join(command)}: {done.stderr}"
        return done.stdout

    def close(self) -> None:
        for name in self.made:
            subprocess.run(["ip", "netns", "delete", name], check=False)
        left = [path.name for path in Path("/run/netns").glob(f"{self.prefix}-*")]
        assert not left


@pytest.fixture
def network() -> Iterator[Network]:
    if os.geteuid():
        pytest.skip("namespaces are made as root")
    made = Network()
    try:
        yield made
    finally:
        made.close()


@pytest.fixture
def kernel() -> Iterator[Kernel]:
    with Kernel() as opened:
        before = _inet_sockets()
        yield opened
        assert _inet_sockets() == before, "probes leave no socket open"


def _inet_sockets() -> set[str]:
    found = set()
    for fd in os.listdir("/proc/self/fd"):
        try:
            link = os.readlink(f"/proc/self/fd/{fd}")
        except FileNotFoundError:
            continue
        if link.startswith("socket:"):
            with socket.socket(fileno=os.dup(int(fd))) as sock:
                if sock.family in (socket.AF_INET, socket.AF_INET6):
                    found.add(link)
    return found
