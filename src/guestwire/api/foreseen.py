"""Begins on what a file seems to want before it is understood: makes namespaces, or reads those that are there.

Both are done by a process beside us while this one still imports and reads the file, so that `up` finds them made, or
knows at once that there is nothing to do.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import NamedTuple

from guestwire.linux import namespaces, signposts
from guestwire.linux.reading import Readings
from guestwire.linux.stock import Stock
from guestwire.linux.userns import capable
from guestwire.places import DEFAULT_FILE, RUN

__all__ = ["NOTHING", "Foreseen", "ahead"]

FEW, MOST = 50, 4096
"""With fewer there is nothing to be gained; the descriptors of more would wait for us too long."""
READ = 1 << 16  # bytes of the file that are looked through


class Foreseen(NamedTuple):
    """What was begun on, of either none or one."""

    stock: Stock | None = None
    readings: Readings | None = None


NOTHING = Foreseen()


@contextmanager
def ahead(path: str | None, project: str | None = None, *, making: bool = True) -> Iterator[Foreseen]:
    """A stock for what a file's `count` says, less the namespaces there are; or these being read, where they are all.

    It is a guess: what is missing is made or read when it is wanted, and what is left over goes unnoticed. Raises
    nothing.
    """
    begun = NOTHING
    with suppress(OSError):  # no process to be had, nor a socket: it goes without
        if capable() and len(os.listdir("/proc/self/task")) == 1:
            begun = _begin(path or DEFAULT_FILE, project, making)
    try:
        yield begun
    finally:
        for each in begun:
            if each is not None:
                each.close()


def _begin(path: str, project: str | None, making: bool) -> Foreseen:
    if not os.path.isfile(path):
        return NOTHING  # a pipe, as standard input, can be read but once
    with open(path, "rb") as file:
        text = file.read(READ).decode(errors="replace")
    there = namespaces.names()
    number = min(sum(map(int, re.findall(r"\bcount:[ \t]*(\d{1,5})\b", text))) - len(there), MOST)
    if making and number >= FEW:
        return Foreseen(stock=Stock(number))
    named = re.search(r"^name:[ \t]*[\"']?([\w.-]+)", text, re.MULTILINE)
    name = project or (named[1] if named else "")
    led = signposts.links_in(namespaces.FOLDER)
    own = [each for each in there if name and each.startswith(f"{name}-") and each not in led]
    if len(own) < FEW:
        return NOTHING
    stamp = _stamp(name)
    return Foreseen(readings=Readings(own, lambda: _stamp(name) == stamp))


def _stamp(project: str) -> int | None:
    """What changes with each change of a project, whose journal comes and goes in that folder; None without one."""
    try:
        return os.stat(f"{RUN}/{project}").st_mtime_ns
    except FileNotFoundError:
        return None
