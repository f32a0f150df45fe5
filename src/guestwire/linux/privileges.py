"""Gives up what rights this process has: for a daemon that was handed all it needs, opened already."""

from __future__ import annotations

import ctypes
import os
import struct

__all__ = ["give_up"]

PR_SET_NO_NEW_PRIVS = 38  # include/uapi/linux/prctl.h
VERSION = 0x20080522  # _LINUX_CAPABILITY_VERSION_3: three sets of two 32-bit words


def give_up() -> None:
    """Drop all capabilities for good: none comes back, not by a set-user-ID program either (capabilities(7), prctl(2)).

    For a process with one thread. Raises OSError, with what it had.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_NO_NEW_PRIVS, *(ctypes.c_ulong(word) for word in (1, 0, 0, 0))):
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), "prctl")
    if libc.capset(struct.pack("=Ii", VERSION, 0), bytes(24)):
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), "capset")
