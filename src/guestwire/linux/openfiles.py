"""How many files this process may have open: all that it is allowed, and what it becomes as many as it was given.

Programs that wait by select(2) can't use a descriptor above 1,023, which is why the soft limit is that low as a rule
and each program raises its own (getrlimit(2)).
"""

from __future__ import annotations

import resource

__all__ = ["raise_limit", "restore_limit"]

_given: list[tuple[int, int]] = []


def raise_limit() -> int:
    """Take the whole limit, and tell it: a thousand namespaces need two thousand descriptors."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < hard:
        _given.append((soft, hard))
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return 1 << 20 if hard == resource.RLIM_INFINITY else hard


def restore_limit() -> None:
    """Have the soft limit that we were given, before this process becomes another program."""
    for limit in _given[:1]:
        resource.setrlimit(resource.RLIMIT_NOFILE, limit)
