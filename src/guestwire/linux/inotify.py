"""Folders that are watched for files that come into them under their final names (inotify(7))."""

from __future__ import annotations

import ctypes
import os
import struct
from collections.abc import Iterable

__all__ = ["Watch"]

IN_MOVED_TO = 0x80
IN_CLOEXEC, IN_NONBLOCK = os.O_CLOEXEC, os.O_NONBLOCK
_EVENT = struct.Struct("=iIII")
_libc = ctypes.CDLL(None, use_errno=True)


class Watch:
    """A watch over folders; to be waited for with `select`. Raises OSError where one isn't there."""

    def __init__(self, folders: Iterable[str]) -> None:
        self._fd = _checked(_libc.inotify_init1(IN_CLOEXEC | IN_NONBLOCK), None)
        try:
            self._folders = {_checked(self._add(folder), folder): folder for folder in folders}
        except OSError:
            os.close(self._fd)
            raise

    def _add(self, folder: str) -> int:
        return int(_libc.inotify_add_watch(self._fd, os.fsencode(folder), IN_MOVED_TO))

    def __enter__(self) -> Watch:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._fd)

    def fileno(self) -> int:
        """The descriptor, which is readable when there is news."""
        return self._fd

    def renamed(self) -> list[str]:
        """The paths of the files that came by a rename since the last call; none where there is no news."""
        found, at = [], 0
        try:
            data = os.read(self._fd, 1 << 16)
        except BlockingIOError:
            return []
        while at < len(data):
            watched, _, _, length = _EVENT.unpack_from(data, at)
            at += _EVENT.size
            name = data[at : at + length].rstrip(b"\0")
            at += length
            if watched in self._folders:  # -1 where there was more than the kernel could keep
                found.append(f"{self._folders[watched]}/{os.fsdecode(name)}")
        return found


def _checked(result: int, path: str | None) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), path)
    return result
