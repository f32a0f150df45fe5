"""Whatever is joined to whatever, a drawing is made, and is no bigger than what it shows."""

from __future__ import annotations

from typing import Any
from xml.etree import ElementTree

from hypothesis import given, settings
from hypothesis import strategies as st

from guestwire.kinds.address import Address
from guestwire.kinds.bridge import Bridge
from guestwire.kinds.link import Link
from guestwire.kinds.macvlan import Macvlan
from guestwire.kinds.nic import Nic
from guestwire.kinds.route import Route
from guestwire.kinds.tap import Tap
from guestwire.kinds.veth import Veth
from guestwire.picture import Picture, Value
from guestwire.show.chains import Role, chains
from guestwire.show.svg import svg
from guestwire.show.text import text

SPACES = st.sampled_from(["", "a", "b", "p-web"])
NAMES = st.sampled_from([f"{stem}{n}" for stem in ("eth", "br", "g-") for n in range(6)]) | st.text(
    st.characters(exclude_categories=["Cs"]), min_size=1, max_size=15
)
PLACES = st.none() | st.tuples(SPACES | st.just("?"), NAMES)
ADDRESSES = st.sampled_from(["10.0.0.1", "10.0.0.2", "fe80::1", "2001:db8::1"])


@st.composite
def links(draw: st.DrawFn) -> Link:
    common: dict[str, Any] = {
        "netns": draw(SPACES),
        "name": draw(NAMES),
        "master": draw(st.none() | st.just("") | NAMES),
        "up": draw(st.none() | st.booleans()),
        "carrier": draw(st.booleans()),
        "owner": draw(st.sampled_from([None, "p", "q<"])),
        "long": draw(st.none() | st.text(max_size=20)),
    }
    place = draw(PLACES)
    kind = draw(st.sampled_from(["nic", "bridge", "tap", "veth", "macvlan"]))
    if kind == "veth":
        return Veth(**common, peer=place)
    if kind == "macvlan":
        return Macvlan(**common, parent=place, device=draw(st.sampled_from(["macvlan", "macvtap"])), mode="vepa")
    if kind == "tap":
        return Tap(**common, tun=draw(st.booleans()))
    return Bridge(**common) if kind == "bridge" else Nic(**common, kernel_kind=draw(st.sampled_from(["", "bond"])))


@st.composite
def pictures(draw: st.DrawFn) -> Picture:
    found: list[Value] = list(draw(st.lists(links(), max_size=30, unique_by=lambda link: (link.netns, link.name))))
    for link in list(found):
        if draw(st.booleans()):
            found.append(Address.on(link.netns, link.name, f"{draw(ADDRESSES)}/24", link.owner))
        if draw(st.booleans()):
            where = draw(st.sampled_from(["0.0.0.0/0", "::/0", "10.9.0.0/16"]))
            found.append(Route.to(link.netns, where, link.name, None, draw(ADDRESSES)))
    return Picture(found)


@given(pictures(), st.integers(1, 200))
@settings(max_examples=150, deadline=None)
def test_any_picture_is_drawn(picture: Picture, width: int) -> None:
    forest = chains(picture)
    drawn = [node.place for node in forest.nodes() if node.role is Role.LINK]
    folded = sum(1 for node in forest.nodes() for like in node.like for part in like.walk() if part.role is Role.LINK)
    assert len(drawn) == len(set(drawn))
    assert len(drawn) + folded == len(picture.of(Link))
    room = 20 * (1 + len(picture))
    drawing = text(picture, width=width)
    assert len(drawing.splitlines()) <= room
    assert max(map(len, drawing.splitlines())) <= 100 * room
    assert all(line.isprintable() for line in drawing.splitlines())
    graphic = svg(picture)
    ElementTree.fromstring(graphic)
    assert len(graphic) <= 6000 + 2500 * len(picture)
