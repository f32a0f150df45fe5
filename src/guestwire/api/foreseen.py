"""Begins on the namespaces that a file seems to want before the file is understood, so that `up` finds them made."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from guestwire.linux import namespaces
from guestwire.linux.stock import Stock
from guestwire.linux.userns import capable
from guestwire.places import DEFAULT_FILE

__all__ = ["ahead"]

FEW, MOST = 50, 4096
"""With fewer there is nothing to be gained; the descriptors of more would wait for us too long."""
READ = 1 << 16  # bytes of the file that are looked through


@contextmanager
def ahead(path: str | None) -> Iterator[Stock | None]:
    """A stock for what a file's `count` says, less the namespaces there are; None where that is few, or can't be had.

    It is a guess: what is missing is made when it is wanted, and what is left over goes unnoticed. Raises nothing.
    """
    number = min(_guess(path or DEFAULT_FILE), MOST)
    stock = None
    if number >= FEW and capable() and len(os.listdir("/proc/self/task")) == 1:
        with suppress(OSError):  # no process to be had, nor a socket: it goes without
            stock = Stock(number)
    try:
        yield stock
    finally:
        if stock is not None:
            stock.close()


def _guess(path: str) -> int:
    try:
        if not os.path.isfile(path):
            return 0  # a pipe, as standard input, can be read but once
        with open(path, "rb") as file:
            text = file.read(READ)
    except OSError:
        return 0  # whoever reads it for good says so
    counts = re.findall(rb"\bcount:[ \t]*(\d{1,5})\b", text)
    return sum(map(int, counts)) - len(namespaces.names())
