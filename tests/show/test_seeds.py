"""The seeds' own commands, typed in a spare namespace, give the seeds' own diagrams."""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import struct

import pytest

from guestwire.linux.kernel import Kernel
from guestwire.observe import observe
from guestwire.show.svg import svg
from guestwire.show.text import text
from tests.show.conftest import shell

TUNSETIFF, IFF_TAP, IFF_NO_PI = 0x400454CA, 0x2, 0x1000  # include/uapi/linux/if_tun.h
needs_tun = pytest.mark.skipif(not os.path.exists("/dev/net/tun"), reason="no /dev/net/tun")


def drawn(host: str, *others: str) -> str:
    """The drawing of a namespace, and the SVG beside it made too."""
    with Kernel() as kernel:
        picture = observe(kernel, host, others)
    assert svg(picture)
    return text(picture)


def plain(drawing: str) -> str:
    """The drawing with every line between two links as long as the shortest."""
    return re.sub(r" [─═╌]+ ", lambda line: f" {line[0][1]}{line[0][1]} ", drawing)


def typed(old: str, new: str) -> str:
    """The old program's commands where it is installed, else the same by `ip`."""
    return old if all(shutil.which(line.split()[0]) for line in old.splitlines()) else new


def hold(kernel: Kernel, netns: str, name: str) -> int:
    """The descriptor of a tap, as a hypervisor holds it."""
    with kernel.inside(netns):
        fd = os.open("/dev/net/tun", os.O_RDWR | os.O_CLOEXEC)
        fcntl.ioctl(fd, TUNSETIFF, struct.pack("16sH22x", name.encode(), IFF_TAP | IFF_NO_PI))
    return fd


@needs_tun
def test_first_way_tap_and_bridge(spare: tuple[str, str]) -> None:
    """Seed 0: Internet, eth0, br0, tap0, guest NIC."""
    host, outside = spare
    shell(host, "ip tuntap add tap0 mode tap")
    shell(
        host,
        typed(
            "brctl addbr br0\nbrctl addif br0 eth0\nbrctl addif br0 tap0",
            "ip link add br0 type bridge\nip link set eth0 master br0\nip link set tap0 master br0",
        ),
    )
    shell(host, "ip link set tap0 up; ip link set br0 up; ip addr add 172.16.0.100/16 dev br0")
    assert "eth0 ── br0 ── tap0  tap  no program holds it" in plain(drawn(host))
    with Kernel() as kernel:
        fd = hold(kernel, host, "tap0")
        try:
            assert "eth0 ── br0 ── tap0 ── guest NIC" in plain(drawn(host))
            whole = plain(drawn(host, outside))
            assert f"{outside}\n  port ══ {host}:eth0 ── br0 ── tap0 ── guest NIC" in whole
            assert "172.16.0.100/16" in whole
        finally:
            os.close(fd)


def test_second_way_bridge_and_veth(spare: tuple[str, str]) -> None:
    """Seed 0, way 2, and seed 2: one end in the bridge, the other in the guest's namespace."""
    host, outside = spare
    guest = outside  # it is a namespace like any other
    shell(host, "ip link add br0 type bridge; ip link set eth1 master br0 2>/dev/null || true")
    shell(host, f"ip link add vnet0 type veth peer name nic netns {guest}; ip link set vnet0 master br0")
    shell(host, "ip link set vnet0 up; ip link set br0 up")
    shell(guest, "ip link set nic up; ip addr add 10.0.0.2/24 dev nic")
    assert f"br0 ── vnet0 ══ {guest}:nic  10.0.0.2/24" in plain(drawn(host, guest))
    assert "br0 ── vnet0 ══ ?" in plain(drawn(host))


def test_third_way_macvtap(spare: tuple[str, str]) -> None:
    """Seed 3: start-MacVTap0-AsDaemon."""
    host, _ = spare
    shell(
        host,
        """
        MACAddr='52:54:00:b8:9c:58'
        ip link add link eth0 name macvtap0 address ${MACAddr} type macvtap mode bridge
        ip link set dev macvtap0 up
        """,
    )
    drawing = plain(drawn(host))
    assert re.search(r"eth0 ╌╌ macvtap0 ── /dev/tap\d+", drawing)
    assert "macvtap bridge" in drawing


def test_connect_host_via_macvlan(spare: tuple[str, str]) -> None:
    """Seed 3: setmacvlan and delmacvlan, on an eth2."""
    host, _ = spare
    shell(host, "ip link set eth0 down; ip link set eth0 name eth2; ip link set eth2 up")
    shell(host, "ip addr add 172.16.100.101/24 dev eth2")
    assert "? ══ eth2  172.16.100.101/24" in drawn(host)
    shell(host, "ip link add link eth2 name vlan0 address 50:e5:49:45:76:db type macvlan mode bridge")
    shell(
        host,
        typed(
            "ifconfig eth2 0.0.0.0\nifconfig vlan0 172.16.100.101/24",
            "ip addr flush dev eth2\nip addr add 172.16.100.101/24 dev vlan0\nip link set vlan0 up",
        ),
    )
    assert "eth2 ╌╌ vlan0  macvlan bridge  172.16.100.101/24" in plain(drawn(host))
    shell(host, "ip link set vlan0 down; ip link del dev vlan0")
    assert "vlan0" not in drawn(host)


@needs_tun
def test_tap_and_bridge_step_by_step(spare: tuple[str, str]) -> None:
    """Seed 4: a tap by itself, then a bridge, then both ways of joining them."""
    host, _ = spare
    shell(host, typed("tunctl -t tap0", "ip tuntap add tap0 mode tap"))
    shell(host, typed("ifconfig tap0 192.168.1.1", "ip addr add 192.168.1.1/24 dev tap0; ip link set tap0 up"))
    assert "tap0  tap  192.168.1.1/24  no program holds it" in drawn(host)
    shell(host, typed("brctl addbr br0", "ip link add br0 type bridge"))
    shell(host, typed("ifconfig tap0 0.0.0.0", "ip addr flush dev tap0"))
    shell(host, typed("ifconfig br0 192.168.1.1", "ip addr add 192.168.1.1/24 dev br0; ip link set br0 up"))
    assert re.search(r"br0  bridge  192\.168\.1\.1/24", drawn(host))
    shell(host, typed("brctl addif br0 tap0", "ip link set tap0 master br0"))
    drawing = plain(drawn(host))
    assert "  br0 ── tap0  tap  no program holds it" in drawing, "a network of their own: nothing before br0"
    shell(host, typed("brctl addif br0 eth0", "ip link set eth0 master br0"))
    assert "eth0 ── br0 ── tap0" in plain(drawn(host)), "the same network"
