"""UEFI for virtual machines: which of the firmware that is installed fits, as its packages describe it.

Each package puts a description of its firmware into a folder of QEMU's, one JSON file each, the best first by name
(docs/interop/firmware.json in QEMU's sources). One in /etc hides one of the same name in /usr/share.
"""

from __future__ import annotations

import contextlib
import fnmatch
import json
import os
from collections.abc import Iterator
from typing import Any, NamedTuple

__all__ = ["UEFI_PACKAGE", "Uefi", "uefi"]

UEFI_PACKAGE = "ovmf"
FOLDERS = ("/etc/qemu/firmware", "/usr/share/qemu/firmware")
BOARD = "pc-i440fx-7.2"  # `-machine pc` by its whole name, of some version
UNWANTED = {"requires-smm", "enrolled-keys"}
"""What a board without a secure mode hasn't, and what would keep a kernel that nobody signed from starting."""


class Uefi(NamedTuple):
    """Firmware for two flash chips: the code, which is only read, and what the variables are at first."""

    code: str
    variables: str


USUAL = Uefi("/usr/share/OVMF/OVMF_CODE_4M.fd", "/usr/share/OVMF/OVMF_VARS_4M.fd")


def uefi() -> Uefi:
    """The UEFI firmware for our machines; where none is installed, what Debian's package would bring."""
    for description in _descriptions():
        with contextlib.suppress(AttributeError, KeyError, TypeError):  # not as QEMU has it
            if _fits(description):
                flash = description["mapping"]
                return Uefi(flash["executable"]["filename"], flash["nvram-template"]["filename"])
    return USUAL


def _descriptions() -> Iterator[dict[str, Any]]:
    paths: dict[str, str] = {}
    for folder in FOLDERS:
        with contextlib.suppress(OSError):
            for name in os.listdir(folder):
                if name.endswith(".json"):
                    paths.setdefault(name, f"{folder}/{name}")
    for _, path in sorted(paths.items()):
        with contextlib.suppress(OSError, ValueError), open(path) as file:
            yield json.load(file)


def _fits(description: dict[str, Any]) -> bool:
    boards = [
        board for target in description["targets"] if target["architecture"] == "x86_64" for board in target["machines"]
    ]
    flash = description["mapping"]
    return (
        "uefi" in description["interface-types"]
        and flash["device"] == "flash"
        and flash.get("mode", "split") == "split"
        and flash["executable"]["format"] == "raw"
        and not UNWANTED & set(description["features"])
        and any(fnmatch.fnmatch(BOARD, board) for board in boards)
    )
