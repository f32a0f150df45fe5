"""What this machine has, as /proc shows it."""

from __future__ import annotations

__all__ = ["memory"]


def memory() -> int:
    """Its memory in MiB (MemTotal of proc_meminfo(5)); 0 where that isn't told."""
    try:
        with open("/proc/meminfo") as file:
            for line in file:
                if line.startswith("MemTotal:"):
                    return int(line.split()[1]) >> 10
    except OSError:
        pass
    return 0
