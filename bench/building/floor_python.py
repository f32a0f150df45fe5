"""The floor in Python: the same messages as floor.c, with the standard library only.

python floor_python.py build|down veth|macvlan|tap COUNT
"""

import ctypes
import fcntl
import os
import resource
import socket
import struct
import sys

if __package__:
    from . import wire
else:  # started as a program, so that its figure is a whole process as floor.c's is
    import wire  # type: ignore[import-not-found, no-redef]

GUEST_INDEX, HOST_INDEX, BRIDGE_INDEX, DELETE_GROUP = 100, 1000, 10, 7077
CLONE_NEWNET, MS_BIND, MNT_DETACH = 0x40000000, 4096, 2
TUNSETIFF, TUNSETPERSIST, IFF_TAP, IFF_NO_PI = 0x400454CA, 0x400454CB, 0x2, 0x1000
LIBC = ctypes.CDLL(None, use_errno=True)
NEW = wire.CREATE | wire.EXCL


def _check(result: int, what: str) -> None:
    if result:
        error = ctypes.get_errno()
        raise OSError(error, f"{what}: {os.strerror(error)}")


def _namespaces(count: int) -> tuple[list[int], list[socket.socket]]:
    os.makedirs("/run/netns", exist_ok=True)
    _check(LIBC.mount(b"/run/netns", b"/run/netns", None, MS_BIND, None), "/run/netns")
    here = b"/proc/self/ns/net"
    home = os.open(here, os.O_RDONLY | os.O_CLOEXEC)
    descriptors, sockets = [], []
    for i in range(1, count + 1):
        path = b"/run/netns/g-%d" % i
        os.close(os.open(path, os.O_RDONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o444))
        _check(LIBC.unshare(CLONE_NEWNET), "unshare")
        _check(LIBC.mount(here, path, None, MS_BIND, None), "mount")
        descriptors.append(os.open(here, os.O_RDONLY | os.O_CLOEXEC))
        sockets.append(wire.open_rtnetlink())
    _check(LIBC.setns(home, CLONE_NEWNET), "setns")
    os.close(home)
    return descriptors, sockets


def _address(index: int, number: int) -> bytes:
    packed = struct.pack("!I", number)
    body = struct.pack("=BBBBI", socket.AF_INET, 16, 0, 0, index) + wire.attr(1, packed) + wire.attr(2, packed)
    return wire.message(wire.NEWADDR, body, NEW)


def _default_route(gateway: int) -> bytes:
    body = struct.pack("=BBBBBBBBI", socket.AF_INET, 0, 0, 0, 254, 4, 0, 1, 0)
    return wire.message(
        wire.NEWROUTE, body + wire.attr(5, struct.pack("!I", gateway)) + wire.attr32(4, GUEST_INDEX), NEW
    )


def _bridge() -> list[bytes]:
    info = wire.attr(wire.LINKINFO, wire.string(wire.INFO_KIND, "bridge"))
    link = wire.link(wire.string(wire.IFNAME, "br0"), info, index=BRIDGE_INDEX, flags=wire.UP)
    return [wire.message(wire.NEWLINK, link, NEW), _address(BRIDGE_INDEX, 0x0A4D0001)]


def _veth(i: int, netns: int) -> bytes:
    peer = wire.link(wire.string(wire.IFNAME, "eth0"), wire.attr32(wire.NET_NS_FD, netns), index=GUEST_INDEX)
    info = wire.string(wire.INFO_KIND, "veth") + wire.attr(wire.INFO_DATA, wire.attr(wire.PEER, peer))
    own = wire.string(wire.IFNAME, f"v{i + 1}") + wire.attr32(wire.MASTER, BRIDGE_INDEX)
    # The kernel heeds the peer's index only where this end's is given too.
    body = wire.link(own, wire.attr(wire.LINKINFO, info), index=HOST_INDEX + i, flags=wire.UP)
    return wire.message(wire.NEWLINK, body, NEW)


def _macvlan(parent: int, netns: int) -> bytes:
    mode = wire.attr(wire.INFO_DATA, wire.attr32(wire.MACVLAN_MODE, wire.MACVLAN_BRIDGE))
    info = wire.attr(wire.LINKINFO, wire.string(wire.INFO_KIND, "macvlan") + mode)
    own = wire.string(wire.IFNAME, "eth0") + wire.attr32(wire.LINK, parent) + wire.attr32(wire.NET_NS_FD, netns)
    return wire.message(wire.NEWLINK, wire.link(own, info, index=GUEST_INDEX, flags=wire.UP), NEW)


def _taps(count: int) -> list[bytes]:
    """Make them by ioctl, as rtnetlink can't; the messages that make them ports and set them up."""
    for i in range(count):
        fd = os.open("/dev/net/tun", os.O_RDWR | os.O_CLOEXEC)
        fcntl.ioctl(fd, TUNSETIFF, struct.pack("16sH22x", b"t%d" % (i + 1), IFF_TAP | IFF_NO_PI))
        fcntl.ioctl(fd, TUNSETPERSIST, 1)
        os.close(fd)
    names = [wire.string(wire.IFNAME, f"t{i + 1}") for i in range(count)]
    port = wire.attr32(wire.MASTER, BRIDGE_INDEX)
    return [wire.message(wire.NEWLINK, wire.link(name, port, flags=wire.UP)) for name in names]


def build(kind: str, count: int) -> None:
    """Namespaces, then all links, then each guest from inside; taps have neither namespace nor inside."""
    if kind == "tap":
        host = wire.open_rtnetlink()
        wire.send(host, _bridge())
        wire.send(host, _taps(count))
        return
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    host = wire.open_rtnetlink()
    descriptors, sockets = _namespaces(count)
    if kind == "macvlan":
        net, up = 0x0A4E0000, b""
        parent = socket.if_nametoindex("p0")
        wire.send(host, [_macvlan(parent, netns) for netns in descriptors])
    else:
        net, up = 0x0A4D0000, wire.message(wire.NEWLINK, wire.link(index=GUEST_INDEX, flags=wire.UP))
        wire.send(host, _bridge())
        wire.send(host, [_veth(i, netns) for i, netns in enumerate(descriptors)])
    route = _default_route(net + 1)
    for i, sock in enumerate(sockets):
        address = _address(GUEST_INDEX, net + i + 2)
        wire.send(sock, [up, address, route] if up else [address, route])


def down(kind: str, count: int) -> None:
    """The host's ends as one group, then the namespaces; a macvlan goes with its namespace."""
    if kind != "macvlan":
        host = wire.open_rtnetlink()
        group = wire.attr32(wire.GROUP, DELETE_GROUP)
        names = [wire.string(wire.IFNAME, f"{kind[0]}{i + 1}") for i in range(count)]
        mark = [wire.message(wire.SETLINK, wire.link(name, group)) for name in names]
        mark.append(wire.message(wire.SETLINK, wire.link(group, index=BRIDGE_INDEX)))
        wire.send(host, [*mark, wire.message(wire.DELLINK, wire.link(group))])
    for i in range(1, count + 1) if kind != "tap" else ():
        path = b"/run/netns/g-%d" % i
        _check(LIBC.umount2(path, MNT_DETACH), "umount")
        os.unlink(path)


if __name__ == "__main__":
    {"build": build, "down": down}[sys.argv[1]](sys.argv[2], int(sys.argv[3]))
