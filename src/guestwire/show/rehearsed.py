"""What `try` says of a rehearsal, as lines for a person."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

from guestwire.plan import Plan
from guestwire.reach import Report
from guestwire.show.matrix import matrix
from guestwire.show.words import planned

__all__ = ["rehearsed"]

WIDTH = 110


def rehearsed(
    plan: Plan,
    report: Report | None,
    guarded: Sequence[Mapping[str, Any]],
    missing: Sequence[tuple[str, str]],
    *,
    colour: bool = False,
) -> str:
    """The plan that was carried out on the copy, what was measured there, and what of the host it lacked.

    Without a report it was taken back there, or refused. `guarded` are those whom the host reached before, as JSON.
    """
    ended = "" if report is not None else ", this was begun, and isn't accepted"
    parts = [f"On a copy of this host, which is as it was{ended}:\n\n{planned(plan)}"]
    if guarded:
        still = [f"{each['what']} {each['address']}" for each in guarded if each["after"]]
        parts.append(_wrapped(f"The host still reaches {', '.join(still)}."))
    if report is not None:
        parts.append(matrix(report, colour=colour) + "\n")
    if missing:
        lines = [f"  {what}: {means}." for what, means in missing]
        parts.append("Not as on the host:\n" + "".join(_wrapped(line) for line in lines))
    return "\n".join(parts)


def _wrapped(line: str) -> str:
    return textwrap.fill(line, WIDTH, subsequent_indent="    ", break_long_words=False, break_on_hyphens=False) + "\n"
