"""Frames in user space: taps, tuns and macvtaps that a program opens, reads and writes; cables between two of them.

    from guestwire.frames import Tap

    with Tap("tap0") as tap:
        while frame := tap.read():
            ...

Each class opens the right device, or raises a `guestwire.errors` that says why not. Nothing here knows of files, guests
and networks. Each name is loaded when it is first asked for.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from guestwire.frames.device import Device
    from guestwire.frames.header import Offload, VnetHeader, complete_checksum
    from guestwire.frames.macvtap import MacvTap
    from guestwire.frames.tap import Tap, Tun

__all__ = ["Device", "MacvTap", "Offload", "Tap", "Tun", "VnetHeader", "complete_checksum"]

_HOMES = {
    "device": ("Device",),
    "header": ("Offload", "VnetHeader", "complete_checksum"),
    "macvtap": ("MacvTap",),
    "tap": ("Tap", "Tun"),
}


def __getattr__(name: str) -> Any:
    for home, names in _HOMES.items():
        if name in names:
            return getattr(import_module(f"{__name__}.{home}"), name)
    raise AttributeError(f"{__name__} has no {name}")
