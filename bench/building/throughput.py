"""TCP between two guests, one stream: guests that guestwire made against guests made by hand, in turns."""

import os
import socket
import time

from . import guestwire_way
from .ip_batch import batch
from .private import CLONE_NEWNET, LIBC, Job, Result, check

CHUNK, PORT = 1 << 20, 5077
FILE = """name: bench
networks:
  lan: {type: bridge, subnet: 10.77.0.0/16}
guests:
  a: {nics: [{network: lan, address: 10.77.0.11}]}
  b: {nics: [{network: lan, address: 10.77.0.12}]}
"""
BY_HAND = """netns add hand-a
netns add hand-b
link add hand type bridge
link set hand up
addr add 10.79.0.1/16 dev hand
link add hand-va master hand up type veth peer name eth0 netns hand-a
link add hand-vb master hand up type veth peer name eth0 netns hand-b"""


def enter(name: str) -> None:
    """Move this thread into a guest."""
    netns = os.open(f"/run/netns/{name}", os.O_RDONLY)
    check(LIBC.setns(netns, CLONE_NEWNET), name)
    os.close(netns)


def gigabits(sender: str, receiver: str, address: str, seconds: float) -> float:
    """Gbit/s that arrive at `address` in the namespace `receiver`, sent from `sender` by a process of its own."""
    home = os.open("/proc/self/ns/net", os.O_RDONLY)
    processors = sorted(os.sched_getaffinity(0))
    enter(receiver)
    listener = socket.create_server((address, PORT))
    check(LIBC.setns(home, CLONE_NEWNET), "setns")
    os.close(home)
    listener.settimeout(10)
    child = os.fork()
    if not child:
        try:
            enter(sender)
            os.sched_setaffinity(0, processors[-1:])
            _send(address, seconds)
        finally:
            os._exit(0)
    os.sched_setaffinity(0, processors[:1])  # each end has a processor, so that the scheduler adds no luck
    try:
        with listener, listener.accept()[0] as stream:
            stream.settimeout(10)
            buffer, arrived, began = bytearray(CHUNK), 0, time.perf_counter()
            while got := stream.recv_into(buffer):
                arrived += got
            taken = time.perf_counter() - began
    finally:
        os.sched_setaffinity(0, processors)
        os.waitpid(child, 0)
    return arrived * 8 / taken / 1e9


def _send(address: str, seconds: float) -> None:
    chunk, ending = memoryview(bytes(CHUNK)), time.perf_counter() + seconds
    with socket.create_connection((address, PORT), timeout=10) as stream:
        while time.perf_counter() < ending:
            stream.sendall(chunk)


def work(job: Job) -> Result:
    """Both pairs of guests on one host; `rounds` measurements of each, taking turns in being first."""
    with open("/run/bench.yaml", "w", encoding="utf-8") as file:
        file.write(FILE)
    guestwire_way.verb("up", "/run/bench.yaml", "--yes")
    batch(BY_HAND.splitlines(), ["ip", "-batch", "-"])
    for name, last in (("hand-a", 11), ("hand-b", 12)):
        lines = ["link set eth0 up", f"addr add 10.79.0.{last}/16 dev eth0", "route add default via 10.79.0.1"]
        batch(lines, ["ip", "-n", name, "-batch", "-"])
    pairs = {
        "guestwire": ("bench-a", "bench-b", "10.77.0.12"),
        "by hand": ("hand-a", "hand-b", "10.79.0.12"),
    }
    seconds = float(job["seconds"])
    found: dict[str, list[float]] = {name: [] for name in pairs}
    for pair in pairs.values():
        gigabits(*pair, 0.2)  # warm: neighbours found, ports forwarding
    for turn in range(int(job["rounds"])):
        for name in sorted(pairs, reverse=bool(turn % 2)):
            found[name].append(gigabits(*pairs[name], seconds))
    guestwire_way.verb("down", "/run/bench.yaml", "--yes")
    return {"gbits": found}
