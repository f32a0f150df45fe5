"""What a worker does in its private namespaces: build, look whether it is true, tear down, and time each."""

import threading
import time

from . import guestwire_way, throughput, wire
from .gone import Watch
from .private import Failed, Job, Result
from .ways import GUESTWIRE, THROUGHPUT, WAYS, Way


def work(job: Job) -> Result:
    """One measurement: job["way"] names it. It begins when what an earlier one left behind has died."""
    Watch().wait(time.perf_counter())
    host = wire.open_rtnetlink()
    wire.send(host, [wire.message(wire.NEWLINK, wire.link(index=1, flags=wire.UP))])
    if job["way"] == THROUGHPUT:
        return throughput.work(job)
    kind, count = str(job["kind"]), int(job["count"])
    if kind == "macvlan":
        _make_parent()
    if job["way"] == GUESTWIRE:
        return _guestwire(kind, count)
    return _way(WAYS[str(job["way"])], kind, count)


def _make_parent() -> None:
    peer = wire.attr(wire.PEER, wire.link(wire.string(wire.IFNAME, "p1")))
    info = wire.attr(wire.LINKINFO, wire.string(wire.INFO_KIND, "veth") + wire.attr(wire.INFO_DATA, peer))
    name = wire.string(wire.IFNAME, "p0")
    messages = [wire.message(wire.NEWLINK, wire.link(name, info), wire.CREATE | wire.EXCL)]
    messages += [
        wire.message(wire.NEWLINK, wire.link(wire.string(wire.IFNAME, end), flags=wire.UP)) for end in ("p0", "p1")
    ]
    wire.send(wire.open_rtnetlink(), messages)


def _way(way: Way, kind: str, count: int) -> Result:
    way.prepare()
    watch = Watch()
    began = time.perf_counter()
    way.build(kind, count)
    built = time.perf_counter() - began
    _prove(watch, kind, count, way.guest)
    began = time.perf_counter()
    way.down(kind, count)
    returned = time.perf_counter() - began
    return {"build": built, "returned": returned, **watch.wait(began)}


def _guestwire(kind: str, count: int) -> Result:
    watch = Watch()
    path = str(guestwire_way.file_for(kind, count))
    result, memory = {}, []

    def timed(phase: str, *words: str) -> None:
        result[phase], most = guestwire_way.verb(*words)
        memory.append(most)

    timed("start", "plan", str(guestwire_way.empty_file()))
    timed("build", "up", path, "--yes")
    _prove(watch, kind, count, "bench-g-{}")
    timed("again", "up", path, "--yes")
    timed("status", "status", path)
    guestwire_way.file_for(kind, count + 1)
    timed("add", "up", path, "--yes")
    _prove(watch, kind, count + 1, "bench-g-{}")
    began = time.perf_counter()
    timed("returned", "down", path, "--yes")
    return {**result, "memory": max(memory), **watch.wait(began)}


def _prove(watch: Watch, kind: str, count: int, guest: str | None) -> None:
    """Failed where fewer host ends are there than guests, or the first or last guest lacks its route.

    Which is the default route; on a macvlan, where no gateway exists, the subnet's is enough.
    """
    if kind != "macvlan" and watch.links() < count:
        raise Failed(f"{watch.links()} links on the host for {count} guests")
    for number in (1, count) if guest and kind != "tap" else ():  # a tap's addresses are its program's
        _has_route((guest or "").format(number), "00004E0A" if kind == "macvlan" else "00000000")


def _has_route(name: str, route: str) -> None:
    routes: list[str] = []

    def look() -> None:
        try:
            throughput.enter(name)
            with open("/proc/thread-self/net/route", encoding="ascii") as table:
                routes.extend(line.split()[1] for line in table)
        except OSError as error:
            routes.append(str(error))

    inside = threading.Thread(target=look)  # a thread of its own, so that the worker stays where it is
    inside.start()
    inside.join()
    if route not in routes:
        raise Failed(f"guest {name} has no route {route}, only {routes}")
