"""What a guest, network or project may be called."""

from __future__ import annotations

import re

from guestwire.printable import quote

__all__ = ["NAME", "name_fault"]

NAME = r"^[A-Za-z0-9][A-Za-z0-9-]{0,62}$"
LONGEST = 63


def name_fault(name: str, what: str) -> tuple[str, str] | None:
    """Message and hint where this can't be a name of a guest, network or project; else None."""
    if re.match(NAME, name) and "\n" not in name:
        return None
    if len(name) > LONGEST:
        return f"the name has {len(name)} characters; {LONGEST} is the most.", "Shorten it."
    hint = "Use letters, digits and -, with a letter or digit first."
    return f"{quote(name)} is no name for a {what}.", hint
