"""Reads a file's text as `load` would, and states what is wrong with a bad one."""

from __future__ import annotations

import pytest

from guestwire.errors import FileError, Problem
from guestwire.guests import KINDS
from guestwire.networks import TYPES
from guestwire.spec import File, loads

FILE = "lab.yaml"


def good(text: str | bytes, project: str | None = None) -> File:
    """The file that this text is."""
    return loads(text, networks=TYPES, guests=KINDS, project=project, file=FILE, folder="folder")


def problems(text: str | bytes) -> tuple[Problem, ...]:
    """All that is wrong with it."""
    with pytest.raises(FileError) as caught:
        good(text)
    assert all(problem.file == FILE for problem in caught.value.problems)
    return caught.value.problems


def wrong(text: str, message: str, hint: str) -> None:
    """Assert that one thing is wrong, where « stands in the text, with these words in its message and its hint."""
    before, mark, after = text.partition("«")
    assert mark, "the text marks no place"
    found = problems(before + after)
    assert len(found) == 1, "\n".join(map(str, found))
    assert message in found[0].message
    assert hint in (found[0].hint or "")
    place = (before.count("\n") + 1, len(before) - before.rfind("\n"))
    assert (found[0].line, found[0].column) == place, str(found[0])
