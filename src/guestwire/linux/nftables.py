"""nftables, through the `nft` program: one transaction a call, in the namespace that the calling thread is in."""

from __future__ import annotations

import shutil
import subprocess

__all__ = ["available", "list_table", "run"]

SECONDS = 20  # a transaction takes milliseconds; a program that hangs must not hang us


def available() -> bool:
    """Whether the `nft` program is there."""
    return shutil.which("nft") is not None


def run(script: str) -> None:
    """Apply a script as one transaction: all of it or, with OSError in nft's own words, nothing."""
    done = subprocess.run(["nft", "-f", "-"], input=script, capture_output=True, text=True, timeout=SECONDS, check=False)
    if done.returncode:
        raise OSError(done.returncode, done.stderr.strip() or "nft refused the rules")


def list_table(name: str) -> str | None:
    """The listing of table "FAMILY NAME", or None where there is none, or no `nft` that could have made one."""
    if not available():
        return None
    done = subprocess.run(
        ["nft", "list", "table", *name.split()], capture_output=True, text=True, timeout=SECONDS, check=False
    )
    return None if done.returncode else done.stdout
