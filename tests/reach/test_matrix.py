"""The matrix as a person sees it."""

from __future__ import annotations

from collections.abc import Callable

from guestwire.reach import FAMILIES, Expected, Family, Ledger, Report
from guestwire.show.matrix import matrix

Found = Callable[[str, str, Family], bool | str | None]


def ledger(names: list[str], found: Found) -> Ledger:
    """`found` says True, False or None for what was measured, "" for no pair."""
    made = Ledger(names)
    for i, source in enumerate(names):
        for j, target in enumerate(names):
            for family in FAMILIES if i != j else ():
                result = found(source, target, family)
                if not isinstance(result, str):
                    made.enter(made.number(i, j, family), result, "why")
    return made


def test_every_sign() -> None:
    def found(source: str, target: str, family: Family) -> bool | str | None:
        if "old" in (source, target) and family == 6:
            return ""
        if source == "vm":
            return None
        if (source, target) == ("web", "lan"):
            return family == 4
        if (source, target) == ("lan", "web"):
            return family == 6
        if "six" in (source, target):
            return "" if family == 4 else True
        return source != "internet"

    expected = (
        Expected("web reaches old", True, "web → old: 10.0.0.2 answered"),
        Expected("web reaches lan", False, "web → lan: no answer from 2001:db8:1::100 within 2 s"),
        Expected("vm reaches web", None, "vm → web: there is no way to send from vm here"),
    )
    names = ["web", "old", "six", "vm", "lan", "internet"]
    assert (
        matrix(Report(ledger(names, found), expected))
        == """\
             1  2  3  4  5  6
1  web          ✓  ✓  ✓  4  ✓
2  old       ✓     –  ✓  ✓  ✓
3  six       ✓  –     ✓  ✓  ✓
4  vm        ?  ?  ?     ?  ?
5  lan       6  ✓  ✓  ✓     ✓
6  internet  ·  ·  ✓  ·  ·

Each row asks, the numbered columns answer.
✓ reached over every family in common   4 IPv4 answers, IPv6 doesn't
6 IPv6 answers, IPv4 doesn't   · not reached   – no family in common
? can't be measured from here

✗ web reaches lan
    web → lan: no answer from 2001:db8:1::100 within 2 s
? vm reaches web
    vm → web: there is no way to send from vm here

23 of 32 ways measured reached, 9 can't be measured from here; 1 of 3 expectations hold, 1 failed, 1 can't be told."""
    )


def test_guests_that_behave_alike_are_one() -> None:
    names = ["web", *(f"many-{i}" for i in range(1, 101)), "host"]
    text = matrix(Report(ledger(names, lambda source, target, family: True)))
    assert (
        text
        == """\
                      1  2  3
1  web                   ✓  ✓
2  many-1 … many-100  ✓  ✓  ✓
3  host               ✓  ✓

Each row asks, the numbered columns answer.
✓ reached over every family in common

20,604 of 20,604 ways measured reached; nothing was expected."""
    )


def test_those_that_differ_stand_alone() -> None:
    names = [f"many-{i}" for i in range(1, 7)]
    text = matrix(Report(ledger(names, lambda s, t, family: (s, t) != ("many-2", "many-5"))))
    assert text.splitlines()[:4] == [
        "                                1  2  3",
        "1  many-1 … many-6 (4 of them)  ✓  ✓  ✓",
        "2  many-2                       ✓     ·",
        "3  many-5                       ✓  ✓",
    ]


def test_a_ring_is_mixed() -> None:
    names = [f"many-{i}" for i in range(6)]
    size = len(names)
    near = {(names[i], names[(i + 1) % size]) for i in range(size)}
    text = matrix(Report(ledger(names[:], lambda s, t, family: (s, t) in near or (t, s) in near)))
    assert "~" in text
    assert "some do, some don't" in text


def test_many_columns_come_in_panels() -> None:
    names = [f"guest{chr(97 + i)}" for i in range(26)]
    text = matrix(Report(ledger(names, lambda source, target, family: True)))
    assert max(map(len, text.splitlines())) <= 100
    assert text.count("26  guestz") == 2


def test_colour_only_where_asked_for() -> None:
    report = Report(ledger(["a", "b"], lambda source, target, family: source == "a"))
    assert "\x1b" not in matrix(report)
    painted = matrix(report, colour=True)
    assert "\x1b[32m✓\x1b[0m" in painted
    assert "\x1b[31m·\x1b[0m" in painted


def test_nobody() -> None:
    assert (
        matrix(Report(Ledger(()))) == "There is nobody to ask.\n\n0 of 0 ways measured reached; nothing was expected."
    )
