"""nftables, through the `nft` program: one transaction a call, in the namespace that the calling thread is in."""

from __future__ import annotations

import errno
import shutil

from guestwire.linux.programs import run_program

__all__ = ["apply_script", "available", "list_table"]

SECONDS = 20  # a transaction takes milliseconds; a program that hangs must not hang us


def available() -> bool:
    """Whether the `nft` program is there."""
    return shutil.which("nft") is not None


def apply_script(script: str) -> None:
    """Apply a script as one transaction: all of it or, with OSError in nft's own words, nothing."""
    run_program(["nft", "-f", "-"], SECONDS, script)


def list_table(name: str) -> str | None:
    """The listing of table "FAMILY NAME", or None where there is none, or no `nft` that could have made one."""
    if not available():
        return None
    try:
        return run_program(["nft", "list", "table", *name.split()], SECONDS)
    except OSError as error:
        if error.errno != errno.EREMOTEIO:
            raise
        return None  # nft says so of a table that isn't there
