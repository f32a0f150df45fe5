"""Whether this process is in a copy of a host, and what daemons have told of the host itself there.

A daemon such as libvirtd isn't part of the copy: it would act on the host. So it isn't asked there, what it has told on
the host stands for its answer, and nothing of what it keeps is wanted (`Thing.COPIED`).
"""

from __future__ import annotations

from collections.abc import Iterable

from guestwire.kinds import Thing, kinds
from guestwire.picture import Key, Picture

__all__ = ["askable", "enter_copy", "is_copy", "kept", "leave_out"]

_kept: list[Picture] = []


def enter_copy(seen: Picture) -> None:
    """Say that this process is in a copy of the host of which that was seen."""
    _kept.append(Picture(value for value in seen.of(Thing) if not value.COPIED))


def is_copy() -> bool:
    """Whether this process is in a copy."""
    return bool(_kept)


def askable(keys: Iterable[Key]) -> list[Key]:
    """Those of the keys that may be asked for: in a copy none of what daemons keep."""
    return [key for key in keys if not _kept or kinds()[key.kind].COPIED]


def kept() -> list[Thing]:
    """In a copy, what nobody wants of what daemons have told of the host; nothing elsewhere."""
    return [value for picture in _kept for value in picture.of(Thing) if value.owner is None]


def leave_out(wanted: Picture) -> None:
    """In a copy, want nothing of what daemons keep."""
    for value in wanted.of(Thing) if _kept else ():
        if not value.COPIED:
            wanted.remove(value.key)
