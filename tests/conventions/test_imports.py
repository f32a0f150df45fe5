"""A module imports only from the floors below its own, as design.md draws them."""

from __future__ import annotations

import pytest

from tests.conventions.source import Module, modules

FLOORS = [
    {"errors", "naming", "nearest", "places", "printable", "signals"},
    {"linux", "daemons"},
    {"frames", "picture"},
    {"kinds"},
    {"spec", "observe"},
    {"compile"},
    {"networks", "guests", "lab"},
    {"plan", "apply", "reach", "doctor", "advise", "rootless"},
    {"watch", "export"},
    {"show"},
    {"api"},
    {"cli"},
    {"__main__"},
]
FLOOR = {package: number for number, packages in enumerate(FLOORS) for package in packages}
# On one floor: what is applied is a plan, a socket the kernel's, an error's text printable.
SIDEWAYS = {("apply", "plan"), ("daemons", "linux"), ("errors", "printable"), ("naming", "printable")}


def part(name: str) -> str:
    """The part of guestwire that a dotted name is in: `linux` of `guestwire.linux.netlink`."""
    return [*name.split("."), ""][1]


@pytest.mark.parametrize("module", modules(), ids=repr)
def test_imports_come_from_below(module: Module) -> None:
    mine = part(module.name)
    wrong = []
    for line, name in module.imports():
        theirs = part(name)
        if theirs.startswith("__version") or theirs == mine:
            continue
        if mine == "":
            wrong.append(f"line {line}: guestwire/__init__.py stands below all, it imports nothing: {name}")
        elif theirs not in FLOOR or mine not in FLOOR:
            wrong.append(f"line {line}: {name}: tests/conventions/test_imports.py knows no floor for it")
        elif FLOOR[theirs] >= FLOOR[mine] and (mine, theirs) not in SIDEWAYS:
            wrong.append(f"line {line}: {mine} (floor {FLOOR[mine]}) imports {name} (floor {FLOOR[theirs]})")
    assert not wrong


def test_every_package_has_a_floor() -> None:
    assert {part(module.name) for module in modules()} - {""} <= FLOOR.keys()
