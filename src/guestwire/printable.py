"""Text from elsewhere as a terminal may have it: what it would act on, as an escape or a line's end, is spelt out."""

from __future__ import annotations

__all__ = ["printable"]


def printable(text: str) -> str:
    """The text with what isn't printable written as Python would, `\\x1b` say."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)
