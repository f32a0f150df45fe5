"""Single breaks with 1,000 guests around: each is made by raw netlink or a signal, and told of by the watch."""

import json
import os
import signal
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from building import guestwire_way, throughput, wire
from building.private import LIBC, Failed

from .kept import watching

NETWORKS = 10
APART = 2.2  # seconds between two breaks of one thing: sooner is being undone again and again
DELADDR, DELROUTE, IFA_LOCAL = 21, 25, 2
GUESTS = "bench-g{}-{}"
PATH = "/run/bench.yaml"

Break = Callable[[int, int], str]
"""Breaks something of guest N of a network; the word by which the watch tells of it."""


def file_for(count: int) -> str:
    """Write the file: ten bridges with NAT and DHCP, the first guest of each by a tap and a cable."""
    each = count // NETWORKS
    lines = ["name: bench", "networks:"]
    lines += [f"  n{i}: {{type: bridge, subnet: 10.{100 + i}.0.0/16, nat: true, dhcp: true}}" for i in range(NETWORKS)]
    lines += ["guests:"]
    lines += [f"  g{i}: {{count: {each - 1}, nics: [n{i}]}}" for i in range(NETWORKS)]
    lines += [f"  t{i}: {{nics: [{{network: n{i}, device: tap}}]}}" for i in range(NETWORKS)]
    Path(PATH).write_text("\n".join(lines) + "\n")
    return PATH


@contextmanager
def _inside(netns: str) -> Iterator[None]:
    """This thread in a guest for a block."""
    home = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    try:
        throughput.enter(netns)
        yield
    finally:
        LIBC.setns(home, 0)
        os.close(home)


def _set(name: str, *attributes: bytes, flags: tuple[int, int] = (0, 0)) -> None:
    body = wire.LINKHEAD.pack(0, 0, socket.if_nametoindex(name), *flags) + b"".join(attributes)
    with wire.open_rtnetlink() as sock:
        wire.send(sock, [wire.message(wire.NEWLINK, body)])


def _port(network: int, guest: int) -> str:
    return f"bench-g{network}-{guest}.0"


def port_down(network: int, guest: int) -> str:
    _set(_port(network, guest), flags=(0, wire.UP))
    return f"veth {_port(network, guest)}, up"


def port_out(network: int, guest: int) -> str:
    _set(_port(network, guest), wire.attr32(wire.MASTER, 0))
    return f"veth {_port(network, guest)}, master"


def port_deleted(network: int, guest: int) -> str:
    with wire.open_rtnetlink() as sock:
        wire.send(sock, [wire.message(wire.DELLINK, wire.link(index=socket.if_nametoindex(_port(network, guest))))])
    return f"veth {_port(network, guest)} was gone"


def nic_down(network: int, guest: int) -> str:
    with _inside(GUESTS.format(network, guest)):
        _set("eth0", flags=(0, wire.UP))
    return f"veth eth0 in namespace {GUESTS.format(network, guest)}, up"


def guest_address(network: int, guest: int) -> str:
    address = bytes((10, 100 + network, (guest + 1) >> 8, (guest + 1) & 255))
    with _inside(GUESTS.format(network, guest)):
        _delete_address("eth0", address)
    return f"in namespace {GUESTS.format(network, guest)} was gone"


def guest_route(network: int, guest: int) -> str:
    body = struct.pack("=BBBBBBBBI", 2, 0, 0, 0, 254, 0, 255, 0, 0)
    with _inside(GUESTS.format(network, guest)), wire.open_rtnetlink() as sock:
        wire.send(sock, [wire.message(DELROUTE, body)])
    return f"route 0.0.0.0/0 in namespace {GUESTS.format(network, guest)} was gone"


def gateway_address(network: int, guest: int) -> str:
    _delete_address(f"bench-n{network}", bytes((10, 100 + network, 0, 1)))
    return f"address 10.{100 + network}.0.1/16 bench-n{network} was gone"


def _delete_address(link: str, address: bytes) -> None:
    body = struct.pack("=BBBBi", 2, 16, 0, 0, socket.if_nametoindex(link)) + wire.attr(IFA_LOCAL, address)
    with wire.open_rtnetlink() as sock:
        wire.send(sock, [wire.message(DELADDR, body)])


def sysctl(network: int, guest: int) -> str:
    Path(f"/proc/sys/net/ipv4/conf/bench-n{network}/forwarding").write_text("0")
    return f"bench-n{network}/forwarding, content"


def bridge_down(network: int, guest: int) -> str:
    _set(f"bench-n{network}", flags=(0, wire.UP))
    return f"bridge bench-n{network}, up"


def namespace_deleted(network: int, guest: int) -> str:
    subprocess.run(["ip", "netns", "delete", GUESTS.format(network, guest)], check=True)
    return f"namespace {GUESTS.format(network, guest)} was gone"


def table_deleted(network: int, guest: int) -> str:
    subprocess.run(["nft", "delete", "table", "inet", "guestwire-bench"], check=True)
    return "nft inet guestwire-bench was gone"


def server_killed(network: int, guest: int) -> str:
    pidfile = f"/run/guestwire/bench/dhcp.n{network}.pid"
    os.kill(int(Path(pidfile).read_text()), signal.SIGKILL)
    return f"process {pidfile} was gone"


def cables_killed(network: int, guest: int) -> str:
    pids = [int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit() and _holds_cables(path)]
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    return "cable eth0 in namespace bench-t"


def _holds_cables(path: Path) -> bool:
    try:
        return b"guestwire.frames.server" in (path / "cmdline").read_bytes()
    except OSError:
        return False


BREAKS: dict[str, tuple[Break, float, float]] = {
    "a port is set down": (port_down, 0, 50),
    "a port is taken out of its bridge": (port_out, 0, 50),
    "a port is deleted, with its guest's NIC": (port_deleted, 0, 50),
    "a bridge of 100 ports is set down": (bridge_down, 0, 50),
    "a guest's NIC is set down": (nic_down, 0, 50),
    "a guest's address is removed": (guest_address, 0, 50),
    "a guest's default route is removed": (guest_route, 0, 50),
    "a bridge's address is removed": (gateway_address, 0, 50),
    "a link's forwarding is turned off": (sysctl, 0, 50),
    "a guest's namespace is deleted": (namespace_deleted, 0, 50),
    "the nft table is deleted": (table_deleted, APART, 50),
    "a DHCP server is killed": (server_killed, 0, 300),
    "the process with the cables is killed": (cables_killed, APART, 300),
}
"""What breaks, how many seconds apart that has to be, and in how many milliseconds it shall be repaired."""


WHOLE = (port_deleted,)
"""Counted from their beginning: the kernel answers late, when the link has long gone and may be there again."""


def measured(count: int, times: int, only: list[str]) -> tuple[dict[str, list[float]], list[tuple[int, int]]]:
    """Seconds from the event on, by break; and what the watch held after each of them: KiB, and open files."""
    path = file_for(count)
    guestwire_way.verb("up", path)
    each = count // NETWORKS - 1
    found: dict[str, list[float]] = {}
    held: list[tuple[int, int]] = []
    with watching(path) as kept:
        for name, (broken, apart, _) in BREAKS.items():
            if only and name not in only:
                continue
            found[name] = []
            for turn in range(times):
                began = time.perf_counter()
                network, guest = turn % NETWORKS, turn // NETWORKS % each + 1
                word = broken(network, guest)
                event = time.perf_counter()
                found[name].append(kept.line(word)[1] - (began if broken in WHOLE else event))
                time.sleep(max(apart, APART / NETWORKS) - min(apart, time.perf_counter() - began))
            _is_whole(path, name)
            held.append(kept.held())
    guestwire_way.verb("down", path)
    return found, held


def _is_whole(path: str, after: str) -> None:
    """Failed where something isn't as the file says."""
    environment = {**os.environ, "PYTHONPATH": str(guestwire_way.SOURCE)}
    words = [sys.executable, "-m", "guestwire", "status", path, "--json"]
    done = subprocess.run(words, capture_output=True, text=True, env=environment, check=False)
    drift = json.loads(done.stdout).get("drift")
    if drift != []:
        raise Failed(f"after “{after}” there is left: {drift}")
