"""Folders that are watched for files that come into them and go (inotify(7))."""

from __future__ import annotations

import ctypes
import os
import struct
from collections.abc import Iterable

__all__ = ["ARRIVED", "CHANGED", "LEFT", "Watch"]

ARRIVED, LEFT = 0x80 | 0x100, 0x40 | 0x200  # IN_MOVED_TO | IN_CREATE, IN_MOVED_FROM | IN_DELETE
CHANGED = 0x2  # IN_MODIFY
IN_MOVED_TO = 0x80
IN_CLOEXEC, IN_NONBLOCK = os.O_CLOEXEC, os.O_NONBLOCK
_EVENT = struct.Struct("=iIII")
_libc = ctypes.CDLL(None, use_errno=True)


class Watch:
    """A watch over folders; to be waited for with `select`. Raises OSError where one isn't there.

    It tells of files that come under their final names by a rename, or with `of` (ARRIVED, LEFT) of others.
    """

    def __init__(self, folders: Iterable[str], of: int = IN_MOVED_TO) -> None:
        self._of = of
        self._fd = _checked(_libc.inotify_init1(IN_CLOEXEC | IN_NONBLOCK), None)
        try:
            self._folders = {_checked(self._add(folder), folder): folder for folder in folders}
        except OSError:
            os.close(self._fd)
            raise

    def _add(self, folder: str) -> int:
        return int(_libc.inotify_add_watch(self._fd, os.fsencode(folder), self._of))

    def __enter__(self) -> Watch:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._fd)

    def fileno(self) -> int:
        """The descriptor, which is readable when there is news."""
        return self._fd

    def add(self, folder: str) -> None:
        """Watch one more. Raises OSError where it isn't there."""
        self._folders[_checked(self._add(folder), folder)] = folder

    def news(self) -> list[str]:
        """The paths of the files that something happened to since the last call; none where there is no news.

        Where the kernel could not keep it all there is one of "".
        """
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
            if watched in self._folders:
                found.append(f"{self._folders[watched]}/{os.fsdecode(name)}")
            elif watched < 0:
                found.append("")
        return found


def _checked(result: int, path: str | None) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), path)
    return result
