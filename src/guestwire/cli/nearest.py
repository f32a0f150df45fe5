"""The nearest known word to a misspelt one."""

from __future__ import annotations

from collections.abc import Iterable

__all__ = ["nearest"]


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The known word that is most like this one, or None where none is like it."""
    from difflib import get_close_matches  # only once something is off

    found = get_close_matches(word, list(known), n=1, cutoff=0.5)
    return found[0] if found else None
