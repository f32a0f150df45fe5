"""What shall be: a desired picture, and what of somebody else's it lets us touch."""

from __future__ import annotations

from dataclasses import dataclass, field

from guestwire.picture.picture import Picture
from guestwire.picture.value import Key

__all__ = ["Desired"]


@dataclass
class Desired:
    """What shall be is in `picture`; `absent` are keys that shall not be there although they aren't ours; `borrowed` is
    every key of somebody else's that may be touched, those in `absent` included."""

    picture: Picture = field(default_factory=Picture)
    absent: set[Key] = field(default_factory=set)
    borrowed: set[Key] = field(default_factory=set)
