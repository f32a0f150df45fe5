"""Text from elsewhere as a terminal may have it: what it would act on, as an escape or a line's end, is spelt out."""

from __future__ import annotations

__all__ = ["printable", "quote"]


def printable(text: str) -> str:
    """The text with what isn't printable written as Python would, `\\x1b` say."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def quote(text: object, limit: int = 60) -> str:
    """The text between double quotes, cut where it is long, with nothing in it that a terminal would act on."""
    full = str(text)
    cut = full if len(full) <= limit else full[: limit - 1] + "…"
    return f'"{printable(cut)}"'
