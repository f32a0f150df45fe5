"""Whatever a file holds, it loads or is refused with what is wrong: never another exception, never without a place."""

from __future__ import annotations

import json

from hypothesis import example, given
from hypothesis import strategies as st

from guestwire.errors import FileError, GuestwireError
from tests.spec.reading import good
from tests.spec.test_file import EXAMPLE

KNOWN = """
name lab networks guests expect type kind bridge macvtap macvlan uplink mtu subnet gateway stp port mode macs source
passthru host-access count nics dns network address dhcp mac device tap default-route isolated group-fwd-mask relay
true false on ~ 0 1 -1 1500 10000 10.0.0.0/24 10.0.0.1 10.0.0.1/24 fd00::/64 fd00::2 52:54:00:12:34:56 eth0 lo web
many many-1 host internet a
"""
WORDS = st.sampled_from(KNOWN.split())
PARTS = st.sampled_from(["web", "reaches", "does not reach", "host", "on", "tcp/80", "udp/0", "many-3"])
SENTENCES = st.lists(PARTS).map(" ".join)
SECTIONS = ("name", "lab", "networks", "guests", "expect")
TREES = st.recursive(
    WORDS | st.text(max_size=8) | SENTENCES,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(WORDS | st.text(max_size=5), inner, max_size=5),
    max_leaves=25,
)


def survives(text: str | bytes) -> None:
    try:
        good(text)
    except GuestwireError as error:
        found = error
    else:
        return
    assert isinstance(found, FileError)
    assert found.problems
    for problem in found.problems:
        assert problem.message.startswith("… and") or (problem.line and problem.column)
        assert f"{problem.message}{problem.hint}".isprintable()


@given(st.text())
@example("\ud800")
@example('"\\ud800"')
@example("%YAML 9.9\n---\n")
@example("%TAG ! x\n--- !y z")
@example("<<: *a")
@example("networks: {a: {type: bridge, subnet: fe80::1%\x85/64}}")
def test_any_text(text: str) -> None:
    survives(text)


@given(st.binary())
def test_any_bytes(data: bytes) -> None:
    survives(data)


@given(TREES)
def test_any_tree(tree: object) -> None:
    survives(json.dumps(tree))
    survives(json.dumps(tree, ensure_ascii=False).encode("utf-8", "replace"))


@given(st.fixed_dictionaries({}, optional=dict.fromkeys(SECTIONS, TREES)))
def test_any_sections(tree: object) -> None:
    survives(json.dumps(tree))


@given(st.data())
def test_any_change_of_a_good_file(data: st.DataObject) -> None:
    text = EXAMPLE
    for _ in range(data.draw(st.integers(1, 4))):
        start = data.draw(st.integers(0, len(text)))
        end = start + data.draw(st.integers(0, 12))
        put = data.draw(WORDS | st.text(max_size=3) | st.sampled_from("{}[],:&*!|>'\"%@`#-?\t\n \x00"))
        text = text[:start] + put + text[end:]
    survives(text)


@given(st.data())
def test_lines_in_any_order(data: st.DataObject) -> None:
    lines = EXAMPLE.splitlines()
    survives("\n".join(data.draw(st.lists(st.sampled_from(lines), max_size=30))))
