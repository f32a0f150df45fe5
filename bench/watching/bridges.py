"""A bridge that is deleted with its ports: how long until it is back, by guestwire watch and by raw netlink alone."""

import os
import select
import socket
import struct
import threading
import time
from collections.abc import Callable

from building import guestwire_way, wire
from building.private import Failed

from .kept import Kept, watching

MAC, BRIDGE_STP = 1, 5
NEWADDR, IFA_ADDRESS, IFA_LOCAL = 20, 1, 2
APART = 2.2  # seconds between two deletions of one bridge: sooner is being undone again and again
GROUP_LINK = 1
BRIDGE, ADDRESS = "bench-lan", bytes((10, 77, 0, 1))


def measured(ports: int, rounds: int) -> dict[str, list[float]]:
    """Seconds from the event on, of each round of both."""
    path = str(guestwire_way.file_for("veth", ports))
    guestwire_way.verb("up", path)
    host = wire.open_rtnetlink()
    found: dict[str, list[float]] = {"watch": [], "floor": []}
    with watching(path) as kept:
        for _ in range(rounds):
            time.sleep(APART)
            found["watch"].append(_round(host, lambda: _by_watch(kept)))
    numbers = _ports(host)
    for _ in range(rounds):
        time.sleep(APART)
        found["floor"].append(_round(host, lambda: _by_hand(host, numbers)))
    guestwire_way.verb("down", path)
    return found


def _by_watch(kept: Kept) -> float:
    return kept.line(f"bridge {BRIDGE} was gone")[1]


def _round(host: socket.socket, repaired: Callable[[], float]) -> float:
    """Delete the bridge; seconds from when the kernel tells that it is gone until it is repaired."""
    ears = wire.open_rtnetlink(GROUP_LINK)
    ears.setsockopt(socket.SOL_SOCKET, 33, 32 << 20)
    ports = len(_ports(host))
    number = socket.if_nametoindex(BRIDGE)
    times: list[float] = []

    def listen() -> None:  # in a thread: who deletes is kept until all is over in the kernel, and the news come before
        times.append(_gone(ears, number))
        times.append(repaired())

    listener = threading.Thread(target=listen)
    listener.start()
    with wire.open_rtnetlink() as own:
        wire.send(own, [wire.message(wire.DELLINK, wire.link(index=number))])
    listener.join()
    ears.close()
    if len(times) < 2 or len(_ports(host)) != ports:
        raise Failed(f"{len(_ports(host))} of {ports} ports came back")
    return times[1] - times[0]


def _gone(ears: socket.socket, number: int) -> float:
    """Wait for the news that a link is deleted; when it came."""
    while select.select([ears], [], [], 30)[0]:
        data, offset = ears.recv(1 << 16), 0
        while offset < len(data):
            size, kind = struct.unpack_from("=IH", data, offset)
            family, index = struct.unpack_from("=BxHi", data, offset + 16)[0::2]
            if kind == wire.DELLINK and family == 0 and index == number:
                return time.perf_counter()
            offset += (size + 3) & ~3
    raise Failed("the bridge was not deleted")


def _ports(host: socket.socket) -> list[int]:
    """The numbers of the host's links that are ports."""
    names = [name for name in wire.link_names(host) if name.startswith("bench-g-")]
    return [socket.if_nametoindex(name) for name in names if _master(name)]


def _master(name: str) -> bool:
    return os.path.islink(f"/sys/class/net/{name}/master")


def _by_hand(host: socket.socket, ports: list[int]) -> float:
    """Make the bridge, with its MAC and address, and its ports: nothing less would do, and nothing else is done."""
    data = wire.attr(wire.INFO_DATA, wire.attr32(BRIDGE_STP, 0))
    info = wire.attr(wire.LINKINFO, wire.string(wire.INFO_KIND, "bridge") + data)
    mac = wire.attr(MAC, bytes.fromhex("020000000077"))
    body = wire.link(wire.string(wire.IFNAME, BRIDGE), mac, info, flags=wire.UP)
    wire.send(host, [wire.message(wire.NEWLINK, body, wire.CREATE | wire.EXCL)])
    number = socket.if_nametoindex(BRIDGE)
    address = wire.attr(IFA_LOCAL, ADDRESS) + wire.attr(IFA_ADDRESS, ADDRESS)
    messages = [wire.message(NEWADDR, struct.pack("=BBBBi", 2, 16, 0, 0, number) + address, wire.CREATE | wire.EXCL)]
    messages += [wire.message(wire.NEWLINK, wire.link(wire.attr32(wire.MASTER, number), index=port)) for port in ports]
    wire.send(host, messages)
    return time.perf_counter()
