"""The nearest known word to a misspelt one, for hints."""

from __future__ import annotations

from collections.abc import Collection, Iterable

__all__ = ["nearest"]

_LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789-_."


def nearest(word: str, known: Collection[str]) -> str | None:
    """The known word that was probably meant, or None."""
    if len(word) > 100:
        return None
    lower = {k.lower(): k for k in known} if len(known) <= 200 else {}
    if word.lower() in lower:
        return lower[word.lower()]
    if len(known) <= 200:
        import difflib  # only a wrong file needs it

        if found := difflib.get_close_matches(word, known, 1, 0.6):
            return found[0]
    # Among thousands of names, comparing with each would take seconds: try what one slip of the finger makes instead.
    return next((slip for slip in _slips(word) if slip in known), None) if len(word) > 1 else None


def _slips(word: str) -> Iterable[str]:
    for i in range(len(word) + 1):
        head, tail = word[:i], word[i:]
        if tail:
            yield head + tail[1:]
        if len(tail) > 1:
            yield head + tail[1] + tail[0] + tail[2:]
        for letter in _LETTERS:
            yield head + letter + tail
            if tail:
                yield head + letter + tail[1:]
