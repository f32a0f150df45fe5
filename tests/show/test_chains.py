"""Where chains begin, how they go on, and what is folded."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from guestwire.kinds.address import Address
from guestwire.kinds.bridge import Bridge
from guestwire.kinds.macvlan import Macvlan
from guestwire.kinds.namespace import Namespace
from guestwire.kinds.nic import Nic
from guestwire.kinds.route import Route
from guestwire.kinds.tap import Tap
from guestwire.kinds.veth import Veth
from guestwire.picture import Picture
from guestwire.show.chains import Chains, Node, Role, chains
from tests.show.pictures import cable, crowd, host, lab, plug, ring, row


def trees(forest: Chains) -> Iterator[Node]:
    for _, grown in forest.groups:
        yield from grown


def paths(forest: Chains) -> set[str]:
    """Every way from a tree's begin to an end of it."""
    found = set()

    def follow(node: Node, before: str) -> None:
        here = f"{before} {node.name}".strip()
        for child in node.children:
            follow(child, here)
        if not node.children:
            found.add(here)

    for tree in trees(forest):
        follow(tree, "")
    return found


def test_begins_at_the_hardware() -> None:
    assert [tree.name for tree in trees(chains(host()))] == ["eth0", "docker0", "eth1", "wlan0"]


def test_begins_at_the_internet_of_a_lab() -> None:
    assert paths(chains(lab())) == {
        "eth0 internet eth0 gateway.0 lan0 lan.0 eth0",
        "eth0 internet eth0 gateway.0 lan0 host.0 eth0 eth0",
    }


def test_begins_at_a_bridge_without_uplink() -> None:
    picture = Picture([Bridge(name="br0"), Address.on("", "br0", "10.0.0.1/24", None)])
    plug(picture, "a", "br0", "10.0.0.2/24", "10.0.0.1")
    plug(picture, "b", "br0", "10.0.0.3/24", "10.0.0.1")
    assert paths(chains(picture)) == {"br0 a.0 eth0", "br0 b.0 eth0"}


@pytest.mark.parametrize("outside", ["aaa", "zzz", "?"])
def test_begins_outside_of_a_nic_that_is_a_cables_end(outside: str) -> None:
    picture = Picture([Bridge(netns="h", name="br0"), Tap(netns="h", name="tap0", master="br0")])
    picture.add(Veth(netns="h", name="eth0", peer=(outside, "7"), master="br0"))
    if outside != "?":
        picture.add(Veth(netns=outside, name="7", peer=("h", "eth0")))
    ((title, (tree,)),) = chains(picture).groups
    assert paths(chains(picture)) == {f"{'?' if outside == '?' else 7} eth0 br0 tap0 guest NIC"}
    assert title == ("h" if outside == "?" else outside)
    assert tree.role is (Role.UNREAD if outside == "?" else Role.LINK)


def test_begins_with_an_unread_parent() -> None:
    picture = Picture([Macvlan(netns="c", name="eth0", parent=("?", "2"))])
    assert paths(chains(picture)) == {"? eth0"}


def test_a_gateways_way_out_comes_before_what_it_serves() -> None:
    picture = Picture([Nic(name="eth0"), Bridge(name="private"), Address.on("", "private", "10.0.0.1/24", None)])
    picture.add(Route.to("", "0.0.0.0/0", "eth0", None, "192.168.0.1"))
    plug(picture, "a", "private", "10.0.0.2/24", "10.0.0.1")
    assert paths(chains(picture)) == {"eth0 private a.0 eth0"}


def test_an_address_elsewhere_is_no_gateway() -> None:
    """Two labs have the same addresses; only who is on the same segment is meant."""
    picture = Picture([Nic(netns="other", name="eth5"), Nic(netns="other", name="eth6")])
    picture.add(Address.on("other", "eth5", "10.0.0.1/24", None), Bridge(name="br0"))
    plug(picture, "a", "br0", "10.0.0.2/24", "10.0.0.1")
    assert paths(chains(picture)) == {"br0 a.0 eth0", "eth5", "eth6"}


def test_each_link_is_drawn_once_and_a_ring_ends() -> None:
    nodes = list(chains(ring()).nodes())
    drawn = [node.place for node in nodes if node.role is Role.LINK]
    assert len(drawn) == len(set(drawn)) == 7
    assert [node.name for node in nodes if node.role is Role.ELSEWHERE] == ["br2"]


def test_what_is_too_deep_goes_on_as_a_chain_of_its_own() -> None:
    forest = chains(row(2000))
    drawn = [node.place for node in forest.nodes() if node.role is Role.LINK]
    assert len(drawn) == len(set(drawn)) == 6000
    assert len(list(trees(forest))) > 200


def test_alike_are_folded_and_the_odd_one_is_not() -> None:
    picture = crowd(1000)
    odd = next(link for link in picture.of(Veth) if link.name == "g-500.0")
    picture.add(Veth(name=odd.name, peer=odd.peer, master="br0", owner="demo", up=False))
    ((_, (tree,)),) = chains(picture).groups
    assert [(child.name, child.fold()) for child in tree.children] == [
        ("g-1.0", "g-1 … g-1000 (999 like this)"),
        ("g-500.0", ""),
        ("other.0", ""),
    ]


def test_names_that_tell_more_are_not_folded_so_soon() -> None:
    picture = Picture([Bridge(name="br0")])
    for name in (
        "web",
        "mail",
        "db",
        "dns",
        "ldap",
        "ci",
        "git",
        "wiki",
        "chat",
        "vpn",
        "proxy",
        "cache",
        "queue",
        "log",
    ):
        plug(picture, name, "br0", "10.0.0.2/24")
    ((_, (tree,)),) = chains(picture).groups
    assert len(tree.children) == 14


def test_twelve_are_not_folded() -> None:
    ((_, (tree,)),) = chains(crowd(12)).groups
    assert [child.name for child in tree.children] == [f"g-{n}.0" for n in range(1, 13)] + ["other.0"]


def test_alike_under_names_of_no_pattern_are_folded_too() -> None:
    picture = Picture([Bridge(name="docker0")])
    picture.add(*(Veth(name=f"veth{n * 7919:x}", peer=("?", str(n)), master="docker0") for n in range(1, 200)))
    ((_, (tree,)),) = chains(picture).groups
    assert sum(len(child.like) + 1 for child in tree.children) == 199
    assert len(tree.children) < 60


def test_lone_links_are_folded_too() -> None:
    picture = Picture(Tap(name=f"tap{n}", carrier=False) for n in range(100))
    ((_, (tree,)),) = chains(picture).groups
    assert tree.fold() == "tap0 … tap99 (100 like this)"


def test_projects_names_are_left_out_only_where_that_is_clear() -> None:
    picture = Picture([Bridge(name="br0")])
    plug(picture, "web", "br0", "10.0.0.2/24")
    assert chains(picture).shortened == "demo"
    picture.add(Namespace.named("web", None), *cable(("", "w"), ("web", "eth0"), "br0"))
    forest = chains(picture)
    assert forest.shortened == ""
    assert {node.where for node in forest.nodes()} == {"this host", "demo-web", "web"}
    assert forest.owners == ("demo",)
    assert forest.foreign
