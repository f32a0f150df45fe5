"""One file per kind of thing: all that guestwire knows of a bridge, a veth, a macvlan, an address … is in its file.

Each file holds one value class derived from `Thing` (links from `Link`), found by looking into this folder: nothing
else in the project lists the kinds. What several share is beside them, without a class of its own in the picture:
`thing.py`, `link.py`, `port.py`, `hop.py`, `mark.py`. To learn what Linux can do with macvlan, read `macvlan.py`; to
add a kind, add a file.
"""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache

from guestwire.kinds.link import Link
from guestwire.kinds.thing import Thing

__all__ = ["Link", "Thing", "kinds", "link_kinds"]


@cache
def kinds() -> dict[str, type[Thing]]:
    """Every kind by its name, as it stands in a value's key."""
    found: dict[str, type[Thing]] = {}
    for module in pkgutil.iter_modules(__path__):
        loaded = importlib.import_module(f"{__name__}.{module.name}")
        for item in vars(loaded).values():
            if isinstance(item, type) and issubclass(item, Thing) and item.KIND:
                found[item.KIND] = item
    return found


@cache
def link_kinds() -> dict[str, type[Link]]:
    """Every kind of link by each name that the kernel has for it (IFLA_INFO_KIND)."""
    return {name: kind for kind in kinds().values() if issubclass(kind, Link) for name in kind.LINK_KINDS}
