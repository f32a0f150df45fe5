"""Text drawings against what they shall look like, and what holds for all of them."""

from __future__ import annotations

import re

import pytest

from guestwire.kinds.nic import Nic
from guestwire.kinds.tap import Tap
from guestwire.kinds.veth import Veth
from guestwire.picture import Picture
from guestwire.show.text import text
from guestwire.show.words import table
from tests.show.pictures import crowd, first_way, host, lab, ring, row

FIRST_WAY = """\
this host
  eth0 ── br0 ────────────── tap0 ── guest NIC
  NIC     bridge             tap
          172.16.0.100/16

── port of a bridge"""

HOST = """\
this host
  eth0 ── br0 ─────────────┬─ tap0 ── guest NIC
  NIC     bridge           │  tap
          172.16.0.100/16  ├─ tap1  tap  no program holds it
                           └┈ private~12345° ────┬─ db.0° ═══ db:eth0°
                              = the-private-one  │            10.77.0.20/24
                              bridge             └─ web.0° ══ web:eth0°
                              10.77.0.1/24                    10.77.0.11/24

  docker0 ──────── veth1a2b3c4 ══ ?
  bridge
  172.17.0.1/16

  eth1 ╌┬╌ macvtap0 ──────── /dev/tap11
  NIC   │  macvtap bridge
        └╌ macvtap1 ──────── /dev/tap12
           macvtap vepa

  wlan0  NIC  down

── port of a bridge   ══ veth cable   ╌╌ shares its parent's cable   ┈┈ routed
? in a namespace that wasn't read   ° made by guestwire for demo
namespaces' names are without demo in front"""

LAB = """\
internet
  eth0 ════════════ gateway:internet ┈┈ eth0 ══════════ switch:gateway.0 ─┐
  203.0.113.1/24    203.0.113.2/24      192.0.2.1/24                      │
  ┌───────────────────────────────────────────────────────────────────────┘
  └─ lan0 ───┬─ host.0 ══ host:eth0 ╌╌╌╌╌╌ vm:eth0  macvlan bridge
     bridge  │            192.0.2.10/24             192.0.2.200/24
             └─ lan.0 ═══ lan:eth0  192.0.2.100/24

── port of a bridge   ══ veth cable   ╌╌ shares its parent's cable   ┈┈ routed
all made by guestwire for demo   namespaces' names are without demo in front"""

RING = """\
this host
  eth0 ── br1 ────┬─ a1 ══ a2 ── br2    bridge
  NIC     bridge  └─ b1 ══ b2 ── → br2

── port of a bridge   ══ veth cable   → drawn elsewhere"""

CROWD = """\
this host
  br0 ────┬─ g-1.0 ════ g-1:eth0    10.0.1.1/8
  bridge  ┆  g-1 … g-1000 (1,000 like this)
          └─ other.0 ══ other:eth0  10.200.0.1/8

── port of a bridge   ══ veth cable   all made by guestwire for demo
namespaces' names are without demo in front"""

LAB_ASCII = """\
internet
  eth0 ============ gateway:internet .. eth0 ========== switch:gateway.0 -+
  203.0.113.1/24    203.0.113.2/24      192.0.2.1/24                      |
  +-----------------------------------------------------------------------+
  +- lan0 ---+- host.0 == host:eth0 ~~~~~~ vm:eth0  macvlan bridge
     bridge  |            192.0.2.10/24             192.0.2.200/24
             +- lan.0 === lan:eth0  192.0.2.100/24

-- port of a bridge   == veth cable   ~~ shares its parent's cable   .. routed
all made by guestwire for demo   namespaces' names are without demo in front"""


@pytest.mark.parametrize(
    ("picture", "drawing"),
    [
        (first_way(), FIRST_WAY),
        (host(), HOST),
        (lab(), LAB),
        (ring(), RING),
        (crowd(1000), CROWD),
    ],
    ids=["first way", "host", "lab", "ring", "crowd"],
)
def test_looks_like(picture: Picture, drawing: str) -> None:
    assert text(picture, width=80) == drawing


def test_ascii_lines() -> None:
    drawing = text(lab(), width=80, ascii=True)
    assert drawing == LAB_ASCII
    assert text(crowd(1000), ascii=True).isascii()


@pytest.mark.parametrize("picture", [first_way(), host(), lab(), ring(), crowd(40), row(60)])
@pytest.mark.parametrize("width", [80, 100, 160])
def test_keeps_to_its_width(picture: Picture, width: int) -> None:
    assert max(map(len, text(picture, width=width).splitlines())) <= width


def test_colours_are_all_that_colour_adds() -> None:
    coloured = text(host(), colour=True)
    assert "\x1b[1meth0\x1b[0m" in coloured
    assert re.sub(r"\x1b\[\d*m", "", coloured) == text(host())


def test_nothing_to_draw() -> None:
    assert text(Picture()) == "There are no links here but lo."


def test_order_of_the_picture_does_not_matter() -> None:
    assert text(Picture(reversed(list(host())))) == text(host())


def test_a_name_cannot_write_on_the_terminal() -> None:
    picture = Picture([Nic(name="a\x1b[2Jb"), Nic(name="x\u202ey")])
    drawing = text(picture)
    assert "a\\x1b[2Jb" in drawing
    assert "x\\u202ey" in drawing
    assert table([["a\x1b[2Jb", "c\nd"]]) == "a\\x1b[2Jb  c\\nd\n"


def test_wide_names_keep_the_lines_straight() -> None:
    picture = first_way()
    picture.add(Tap(name="網卡", master="br0"), Tap(name="🐙", master="br0"))
    rows = text(picture).splitlines()
    assert "├─ tap0 ── guest NIC" in "\n".join(rows).replace("┬", "├")
    ends = [line for line in rows if "guest NIC" in line]
    assert len(ends) == 3
    columns = {sum(2 if ord(c) > 0x3000 else 1 for c in line.split("guest NIC")[0]) for line in ends}
    assert len(columns) == 1


def test_states_are_told() -> None:
    picture = Picture()
    picture.add(Nic(name="eth0", up=False), Nic(name="eth1", carrier=False), Tap(name="tap0", carrier=False))
    picture.add(Tap(name="tun0", tun=True), Veth(name="gone", peer=("?", "7")))
    drawing = text(picture)
    assert "eth0  NIC  down" in drawing
    assert "eth1  NIC  no carrier" in drawing
    assert "tap0  tap  no program holds it" in drawing
    assert "tun0 ── program" in drawing
    assert "gone ══ ?" in drawing
