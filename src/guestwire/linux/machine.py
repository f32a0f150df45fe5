"""What this machine has, as /proc shows it."""

from __future__ import annotations

__all__ = ["free_memory", "memory"]


def memory() -> int:
    """Its memory in MiB; 0 where that isn't told."""
    return _told("MemTotal")


def free_memory() -> int:
    """What of its memory programs can have yet, without swapping, in MiB as the kernel guesses; 0 where it doesn't."""
    return _told("MemAvailable")


def _told(key: str) -> int:
    """A line of proc_meminfo(5), in MiB."""
    try:
        with open("/proc/meminfo") as file:
            for line in file:
                if line.startswith(f"{key}:"):
                    return int(line.split()[1]) >> 10
    except OSError:
        pass
    return 0
