"""Hand-made pictures that the tests of drawings share."""

from __future__ import annotations

from guestwire.kinds.address import Address
from guestwire.kinds.bridge import Bridge
from guestwire.kinds.link import Link
from guestwire.kinds.macvlan import Macvlan
from guestwire.kinds.namespace import Namespace
from guestwire.kinds.nic import Nic
from guestwire.kinds.route import Route
from guestwire.kinds.tap import Tap
from guestwire.kinds.veth import Veth
from guestwire.picture import Picture


def cable(near: tuple[str, str], far: tuple[str, str], master: str = "", owner: str | None = None) -> list[Link]:
    """Both ends of a veth pair; the near one may be a port."""
    return [
        Veth(netns=near[0], name=near[1], peer=far, master=master, owner=owner),
        Veth(netns=far[0], name=far[1], peer=near, far=True, owner=owner),
    ]


def plug(picture: Picture, guest: str, bridge: str, address: str, gateway: str = "") -> None:
    """A guest of project demo in a namespace of its own, plugged into a bridge of this host."""
    netns = f"demo-{guest}"
    picture.add(Namespace.named(netns, "demo"), *cable(("", f"{guest}.0"), (netns, "eth0"), bridge, "demo"))
    picture.add(Address.on(netns, "eth0", address, "demo"))
    if gateway:
        picture.add(Route.to(netns, "0.0.0.0/0", "eth0", "demo", gateway))


def first_way() -> Picture:
    """The first seed's diagram: Internet, eth0, br0, tap0, guest NIC."""
    picture = Picture()
    picture.add(Nic(name="eth0", master="br0"), Bridge(name="br0"), Tap(name="tap0", master="br0"))
    picture.add(Address.on("", "br0", "172.16.0.100/16", None))
    return picture


def host() -> Picture:
    """A host with a bit of everything, of which the network "private" is guestwire's."""
    picture = first_way()
    picture.add(
        Tap(name="tap1", master="br0", carrier=False),
        Nic(name="eth1"),
        Nic(name="wlan0", up=False),
        Macvlan(name="macvtap0", device="macvtap", parent=("", "eth1"), mode="bridge", index=11),
        Macvlan(name="macvtap1", device="macvtap", parent=("", "eth1"), mode="vepa", index=12),
        Bridge(name="docker0"),
        Veth(name="veth1a2b3c4", peer=("?", "2"), master="docker0"),
        Bridge(name="private~12345", long="the-private-one", owner="demo"),
        Address.on("", "private~12345", "10.77.0.1/24", "demo"),
        Address.on("", "docker0", "172.17.0.1/16", None),
        Route.to("", "0.0.0.0/0", "br0", None, "172.16.0.1"),
    )
    plug(picture, "web", "private~12345", "10.77.0.11/24", "10.77.0.1")
    plug(picture, "db", "private~12345", "10.77.0.20/24", "10.77.0.1")
    return picture


def crowd(count: int) -> Picture:
    """Many guests and one other on a bridge without uplink."""
    picture = Picture()
    picture.add(Bridge(name="br0", owner="demo"))
    for number in range(1, count + 1):
        plug(picture, f"g-{number}", "br0", f"10.{number >> 8}.{number & 255}.1/8")
    plug(picture, "other", "br0", "10.200.0.1/8")
    return picture


def lab() -> Picture:
    """A lab's outside: internet, gateway, switch, neighbour, and a host with a guest's macvlan on its NIC."""
    picture = Picture()
    for place in ("internet", "gateway", "lan", "host", "vm"):
        picture.add(Namespace.named(f"demo-{place}", "demo"))
    picture.add(Namespace.named("demo.switch", "demo"), Bridge(netns="demo.switch", name="lan0", owner="demo"))
    picture.add(*cable(("demo-gateway", "internet"), ("demo-internet", "eth0"), "", "demo"))
    for place in ("gateway", "lan", "host"):
        picture.add(*cable(("demo.switch", f"{place}.0"), (f"demo-{place}", "eth0"), "lan0", "demo"))
    picture.add(Macvlan(netns="demo-vm", name="eth0", parent=("demo-host", "eth0"), mode="bridge", owner="demo"))
    for netns, link, address in (
        ("demo-internet", "eth0", "203.0.113.1/24"),
        ("demo-gateway", "internet", "203.0.113.2/24"),
        ("demo-gateway", "eth0", "192.0.2.1/24"),
        ("demo-lan", "eth0", "192.0.2.100/24"),
        ("demo-host", "eth0", "192.0.2.10/24"),
        ("demo-vm", "eth0", "192.0.2.200/24"),
    ):
        picture.add(Address.on(netns, link, address, "demo"))
    for place in ("lan", "host", "vm"):
        picture.add(Route.to(f"demo-{place}", "0.0.0.0/0", "eth0", "demo", "192.0.2.1"))
    picture.add(Route.to("demo-internet", "192.0.2.0/24", "eth0", "demo", "203.0.113.2"))
    return picture


def ring() -> Picture:
    """Two bridges with two cables between them, behind a NIC."""
    picture = Picture()
    picture.add(Nic(name="eth0", master="br1"), Bridge(name="br1"), Bridge(name="br2"))
    for name in ("a", "b"):
        picture.add(Veth(name=f"{name}1", peer=("", f"{name}2"), master="br1"))
        picture.add(Veth(name=f"{name}2", peer=("", f"{name}1"), master="br2"))
    return picture


def row(bridges: int) -> Picture:
    """Bridges in a row, each joined to the next by a cable: deeper than a drawing is."""
    picture = Picture()
    for number in range(bridges):
        picture.add(Bridge(name=f"br{number}"))
        picture.add(Veth(name=f"v{number}", peer=("", f"w{number}"), master=f"br{number}"))
        picture.add(Veth(name=f"w{number}", peer=("", f"v{number}"), master=f"br{number + 1}"))
    return picture
