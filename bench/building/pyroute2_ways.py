"""pyroute2, as its tutorial has it and at its fastest. Its imports happen before the clock starts."""

import os
import socket
import struct
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from . import wire
from .private import CLONE_NEWNET, LIBC, Failed, check


def absent() -> str | None:
    """Why it can't run, or None."""
    return None if find_spec("pyroute2") else "pyroute2 is not installed (pip install -r bench/requirements.txt)"


def _pyroute2() -> Any:
    return import_module("pyroute2")


def prepare() -> None:
    """Import it, and what it imports when first used."""
    with _pyroute2().IPRoute() as host:
        host.link_lookup(ifname="lo")
    import_module("pyroute2.netns")


def build_naive(kind: str, count: int) -> None:
    """One call after another, one NetNS object for each guest."""
    library = _pyroute2()
    if kind != "veth":
        raise Failed("only veth is written")
    with library.IPRoute() as host:
        host.link("add", ifname="br0", kind="bridge")
        bridge = host.link_lookup(ifname="br0")[0]
        host.addr("add", index=bridge, address="10.77.0.1", prefixlen=16)
        host.link("set", index=bridge, state="up")
        for i in range(1, count + 1):
            library.netns.create(f"g-{i}")
            host.link("add", ifname=f"v{i}", kind="veth", peer={"ifname": "eth0", "net_ns_fd": f"g-{i}"})
            end = host.link_lookup(ifname=f"v{i}")[0]
            host.link("set", index=end, master=bridge, state="up")
            with library.NetNS(f"g-{i}") as guest:
                index = guest.link_lookup(ifname="eth0")[0]
                guest.link("set", index=index, state="up")
                address = f"10.77.{(i + 1) >> 8}.{(i + 1) & 255}"
                guest.addr("add", index=index, address=address, prefixlen=16)
                guest.route("add", dst="default", gateway="10.77.0.1")


def down_naive(kind: str, count: int) -> None:
    """Remove the namespaces, whose ends take the host's with them, and the bridge."""
    library = _pyroute2()
    for i in range(1, count + 1):
        library.netns.remove(f"g-{i}")
    with library.IPRoute() as host:
        host.link("del", ifname="br0")


def _send(sock: socket.socket, compiled: bytearray) -> None:
    messages, offset = [], 0
    while offset < len(compiled):
        (size,) = struct.unpack_from("=I", compiled, offset)
        messages.append(bytes(compiled[offset : offset + size]))
        offset += (size + 3) & ~3
    wire.send(sock, messages)


def build_batch(kind: str, count: int) -> None:
    """Messages compiled by IPBatch and sent 128 at a time; each guest entered with setns."""
    library = _pyroute2()
    if kind != "veth":
        raise Failed("only veth is written")
    compiler, host = library.IPBatch(), wire.open_rtnetlink()
    for i in range(1, count + 1):
        library.netns.create(f"g-{i}")
    compiler.link("add", ifname="br0", kind="bridge", index=10, state="up")
    compiler.addr("add", index=10, address="10.77.0.1", prefixlen=16)
    descriptors = [os.open(f"/run/netns/g-{i}", os.O_RDONLY | os.O_CLOEXEC) for i in range(1, count + 1)]
    for i, netns in enumerate(descriptors):
        peer = {"ifname": "eth0", "net_ns_fd": netns}
        compiler.link("add", ifname=f"v{i + 1}", index=1000 + i, kind="veth", master=10, state="up", peer=peer)
    _send(host, compiler.batch)
    home = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    for i, netns in enumerate(descriptors):
        check(LIBC.setns(netns, CLONE_NEWNET), "setns")
        index = socket.if_nametoindex("eth0")  # pyroute2 drops the index that a peer is given
        compiler.reset()
        compiler.link("set", index=index, state="up")
        compiler.addr("add", index=index, address=f"10.77.{(i + 2) >> 8}.{(i + 2) & 255}", prefixlen=16)
        compiler.route("add", dst="default", gateway="10.77.0.1", oif=index)
        with wire.open_rtnetlink() as guest:
            _send(guest, compiler.batch)
        os.close(netns)
    check(LIBC.setns(home, CLONE_NEWNET), "setns")
    os.close(home)
    compiler.close()


def down_batch(kind: str, count: int) -> None:
    """The host's ends in one group, then the namespaces."""
    library = _pyroute2()
    compiler, host = library.IPBatch(), wire.open_rtnetlink()
    for index in (10, *range(1000, 1000 + count)):
        compiler.link("set", index=index, group=7077)
    compiler.link("del", group=7077)
    _send(host, compiler.batch)
    compiler.close()
    for i in range(1, count + 1):
        library.netns.remove(f"g-{i}")
