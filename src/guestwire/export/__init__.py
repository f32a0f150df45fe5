"""A file in others' words: one module for each of those whose words we know, found by lying here.

Each reads a compiled file and has nothing of its own to decide. What can't be said in those words is told.
"""

from __future__ import annotations

import pkgutil
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from typing import Protocol

from guestwire.compile import Site

__all__ = ["Document", "Exported", "Exporter", "exporter", "names"]


@dataclass(frozen=True)
class Document:
    """A document, the file that it could be, what checks it, and the command that puts it to work."""

    file: str
    text: str
    schema: str
    command: str


@dataclass(frozen=True)
class Exported:
    """Documents, in the order in which they are put to work, and what they can't say."""

    documents: tuple[Document, ...]
    warnings: tuple[str, ...] = ()


class Exporter(Protocol):
    """What a module in here has."""

    def export(self, site: Site) -> Exported:
        """A compiled file."""
        ...

    def again(self, text: str) -> Exported:
        """What is in those words already, read and written back; raises ValueError where it can't be read."""
        ...

    def remark(self, text: str) -> str:
        """A line that says something to people."""
        ...


@cache
def names() -> tuple[str, ...]:
    """Whose words are known."""
    return tuple(sorted(module.name for module in pkgutil.iter_modules(__path__)))


def exporter(name: str) -> Exporter:
    """The module that knows these."""
    found: Exporter = import_module(f"{__name__}.{name}")
    return found
