"""SVG drawings: well-formed, complete, escaped, and nothing on top of something else."""

from __future__ import annotations

from itertools import combinations
from xml.etree import ElementTree

import pytest

from guestwire.kinds.bridge import Bridge
from guestwire.kinds.nic import Nic
from guestwire.picture import Picture
from guestwire.show.chains import chains
from guestwire.show.page import Box, Tile, page
from guestwire.show.svg import svg
from tests.show.pictures import crowd, first_way, host, lab, ring, row

SVG = "{http://www.w3.org/2000/svg}"
PICTURES = {"first way": first_way(), "host": host(), "lab": lab(), "ring": ring(), "crowd": crowd(30), "row": row(40)}
each_picture = pytest.mark.parametrize("picture", PICTURES.values(), ids=PICTURES)


def texts(drawing: str) -> list[str]:
    return [element.text or "" for element in ElementTree.fromstring(drawing).iter(f"{SVG}text")]


@each_picture
def test_stands_alone(picture: Picture) -> None:
    drawing = svg(picture)
    tree = ElementTree.fromstring(drawing)
    assert tree.tag == f"{SVG}svg"
    assert tree.get("role") == "img"
    assert tree.find(f"{SVG}title") is not None
    assert tree.find(f"{SVG}desc") is not None
    assert not list(tree.iter(f"{SVG}script"))
    assert "http" not in drawing.replace("http://www.w3.org/2000/svg", "")
    assert "prefers-color-scheme: dark" in drawing
    assert drawing == svg(Picture(reversed(list(picture))))


@each_picture
def test_says_what_the_text_says(picture: Picture) -> None:
    said = texts(svg(picture))
    for node in chains(picture).nodes():
        assert node.name in said
        assert set(node.addresses) <= set(said)
        assert set(node.states) <= set(said)


@each_picture
def test_nothing_overlaps(picture: Picture) -> None:
    laid = page(chains(picture))
    pairs: list[tuple[Box | Tile, Box | Tile]] = [*combinations(laid.boxes, 2), *combinations(laid.tiles, 2)]
    for one, other in pairs:
        apart_across = one.x + one.width <= other.x or other.x + other.width <= one.x
        apart_down = one.y + one.height <= other.y or other.y + other.height <= one.y
        assert apart_across or apart_down, (one, other)
    for tile in laid.tiles:
        assert tile.box.x <= tile.x
        assert tile.x + tile.width <= tile.box.x + tile.box.width
        assert tile.box.y <= tile.y
        assert tile.y + tile.height <= tile.box.y + tile.box.height
        assert tile.x >= 0
        assert tile.x + tile.width <= laid.width
        assert tile.y >= 0
        assert tile.y + tile.height <= laid.height


@pytest.mark.parametrize("name", ["<b>&\"'", "🐙🐙", "]]>", "網路", "a\x01b\x1b"])
def test_any_name_is_text(name: str) -> None:
    shown = name.replace("\x01", "\\x01").replace("\x1b", "\\x1b")
    picture = Picture([Nic(name=name, master="<&>"), Bridge(name="<&>")])
    assert {shown, "<&>"} <= set(texts(svg(picture)))
    elsewhere = Picture([Nic(netns=name, name="eth0", long=name)])
    assert {shown, f"= {shown}"} <= set(texts(svg(elsewhere)))


def test_a_thousand_guests_fit() -> None:
    drawing = svg(crowd(1000))
    assert "g-1 … g-1000 (1,000 like this)" in texts(drawing)
    assert len(drawing) < 12_000


def test_nothing_to_draw() -> None:
    assert "There are no links here but lo." in texts(svg(Picture()))
