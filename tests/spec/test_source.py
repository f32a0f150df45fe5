"""Text that is no YAML of ours: one clear error with its place, soon, whatever it is."""

from __future__ import annotations

import io
import os
import sys
import time
from pathlib import Path

import pytest

from guestwire.errors import FileError, NotPermitted
from guestwire.guests import KINDS
from guestwire.networks import TYPES
from guestwire.spec import File, load
from guestwire.spec.source import parse
from tests.spec.reading import good, problems, wrong


def opened(path: str | Path) -> File:
    return load(path, networks=TYPES, guests=KINDS)


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("«", "is empty", "networks:"),
        ("«# nothing\n\n", "is empty", "networks:"),
        ("«---\n", "is empty", "networks:"),
        ("name: x\nguests: «\x07\n", "binary", "YAML file"),
        ("«\x7fELF\x00\x01", "control character", "YAML file"),
        ("guests:\n«\tweb: {}\n", "tab in the indentation", "Use spaces"),
        ("guests:\n  web:\n  «\tnics: []\n", "tab in the indentation", "Use spaces"),
        ("guests:\n  web: {}\n«guests: {}\n", '"guests" is given twice', "line 1, column 1"),
        ("guests:\n  web: {dns: 10.0.0.1, «dns: 10.0.0.2}\n", '"dns" is given twice', "line 2, column 9"),
        ("name: a\n«---\nname: b\n", "second YAML document", "file of its own"),
        ("guests: [\n«", "not YAML", "brackets"),
        ("name: a«: b\n", "not YAML: mapping values", "quotes"),
        ("name: «@x\n", "cannot start any token", "quotes"),
        ("guests: {«[a]: {}}\n", "where a key belongs", "quotes"),
        ("guests: «!python/object:os.system {}\n", "tag", "Leave it out"),
        ("name: «*x\n", "*x names an anchor", "&name"),
        (
            "networks:\n  a: &a {type: bridge}\n  b: {«<<: *a, mtu: 1400}\n",
            "merge key << isn't known",
            "*name elsewhere",
        ),
        ("guests: &a {x: «*a}\n", "never end", "Write the value out"),
        ("a: " + "[" * 19 + "«" + "[" * 100_000, "nested more than 20", "seven deep"),
        ("- " * 20 + "«" + "- " * 100_000, "nested more than 20", "seven deep"),
        ("? " * 20 + "«" + "? " * 100_000, "nested more than 20", "seven deep"),
        ("«just words\n", "keys and values", "networks:"),
        ("«- a\n- b\n", "keys and values", "networks:"),
    ],
)
def test_no_yaml_of_ours(text: str, message: str, hint: str) -> None:
    wrong(text, message, hint)


def test_not_utf8() -> None:
    assert [(p.line, p.column) for p in problems(b"name: x\n\xff\xfe")] == [(2, 1)]
    assert "binary" in problems(b"\xff")[0].message


def test_aliases_stand_for_their_anchor() -> None:
    file = good("networks: {a: {type: bridge}}\nguests:\n  x: &x {nics: [a]}\n  y: *x\n")
    assert file.guests["x"] == file.guests["y"]
    assert [plug.guest.name for plug in file.plugs("a")] == ["x", "y"]


def test_billion_laughs() -> None:
    rows = ["a: &a [x, x, x, x, x, x, x, x, x, x]"]
    rows += [f"{b}: &{b} [{', '.join([f'*{a}'] * 10)}]" for a, b in zip("abcdefgh", "bcdefghi", strict=True)]
    rows[4] = rows[4].replace("*d, " * 7, "*d, " * 7 + "«")
    started = time.process_time()
    wrong("\n".join(rows), "more than 100,000 values", '"count"')
    assert time.process_time() - started < 1


def test_yaml_guesses_no_types() -> None:
    written = ["52:54:00:12:34:56", "on", "10.0", "0x1F", "2001-01-01", "null", "1_0", "", "~"]
    source, _ = parse("".join(f"k{i}: {text}\n" for i, text in enumerate(written)).encode(), "f")
    assert isinstance(source.root, dict)
    assert list(source.root.values()) == [*written[:-1], ""]


def test_place_of_each_value() -> None:
    source, _ = parse(b"networks:\n  lan:\n    type: bridge\n    subnet:\n    - 10.0.0.0/8\n", "f")
    assert source.place(("networks", "lan", "type")) == (3, 11)
    assert source.place(("networks", "lan", "type"), key=True) == (3, 5)
    assert source.place(("networks", "lan", "subnet", 0)) == (5, 7)
    assert source.place(("networks", "lan")) == (2, 3)
    assert source.place(("networks", "lan", "uplink")) == (2, 3)
    assert source.place(("guests", "x", 3)) == (1, 1)


def test_byte_order_mark_and_windows_lines() -> None:
    assert good(b"\xef\xbb\xbfname: x\r\nguests: {}\r\n").name == "x"


def test_json_is_yaml() -> None:
    assert good('{"name": "x",\n\t"guests": {"a": {"nics": []}}}').name == "x"


def test_many_errors_are_counted() -> None:
    found = problems("".join(f"key{i}: x\n" for i in range(150)))
    assert len(found) == 101
    assert found[0].line == 1
    assert found[99].line == 100
    assert found[100].message == "… and 50 more."


@pytest.mark.parametrize(
    "text",
    [
        "".join(f"key{i}: x\n" for i in range(100_000)),
        "guests:\n" + "".join(f"  g{i}: {{nics: [lan{i}], zz: 1}}\n" for i in range(100_000)),
        "guests:\n" + "".join(f"  g{i}: {{nics: [lan{i}]}}\n" for i in range(100_000)),
        "guests:\n" + "  g: {}\n" * 100_000,
        "expect:\n" + "- rubbish\n" * 100_000,
        "rubbish\n" * 100_000,
        "{" * 10 + "a\n" * 100_000,
    ],
    ids=["keys", "guest keys", "networks", "twice", "sentences", "words", "braces"],
)
def test_a_hundred_thousand_lines_of_rubbish(text: str) -> None:
    started = time.process_time()
    found = problems(text)
    assert time.process_time() - started < 20  # it takes 3
    assert len(found) <= 101


def test_a_hundred_thousand_lines_that_are_right() -> None:
    guest = (
        "  g{0}:\n    dns: 10.0.0.1\n    nics:\n      - network: n{1}\n        mac: 02:00:00:{2:02x}:{3:02x}:{4:02x}\n"
    )
    rows = [guest.format(i, i % 100, i >> 16, i >> 8 & 255, i & 255) for i in range(20_000)]
    nets = "".join(f"  n{i}: {{type: bridge}}\n" for i in range(100))
    started = time.process_time()
    file = good(f"networks:\n{nets}guests:\n{''.join(rows)}")
    assert time.process_time() - started < 20  # it takes 1.2
    assert len(file.guests) == 20_000


def test_missing_file_names_its_neighbours(tmp_path: Path) -> None:
    (tmp_path / "guestwire.yml").write_text("")
    with pytest.raises(FileError) as caught:
        opened(tmp_path / "guestwire.yaml")
    assert "there is no file" in caught.value.problems[0].message
    assert caught.value.problems[0].hint == "There is guestwire.yml: name it after the verb."
    with pytest.raises(FileError) as caught:
        opened(Path("shop"))
    assert "`--project shop`" in str(caught.value.problems[0].hint)


def test_folder(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="is a folder"):
        opened(tmp_path)


def test_name_with_a_zero_byte() -> None:
    with pytest.raises(FileError, match="can't be read"):
        opened("a\0b")


def test_endless_file() -> None:
    with pytest.raises(FileError, match="larger than 64 MiB"):
        opened("/dev/zero")


def test_unreadable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "lab.yaml"
    path.write_text("name: x\n")
    path.chmod(0)
    if os.geteuid() == 0:  # whom no mode keeps out

        def denied(*_: object) -> object:
            raise PermissionError(13, "Permission denied")

        monkeypatch.setattr("builtins.open", denied)
    with pytest.raises(NotPermitted, match="may not be read"):
        opened(path)


def test_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"name: x\nguests: [a]\n")))
    with pytest.raises(FileError) as caught:
        opened("-")
    assert str(caught.value).startswith("standard input:2:1: guests: expected a name")
