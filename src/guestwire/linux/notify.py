"""What a service tells the program that started it: that it is ready, that it lives, that it ends (sd_notify(3)).

A message is a line or several, sent as one datagram to the socket that NOTIFY_SOCKET names. A name that begins with "@"
is in the abstract namespace, where it begins with a zero byte (unix(7)).
"""

from __future__ import annotations

import contextlib
import os
import socket

__all__ = ["Notifier"]


class Notifier:
    """Tells whoever started us, where somebody wants to be told; else it says nothing."""

    def __init__(self) -> None:
        name = os.environ.pop("NOTIFY_SOCKET", "")  # so that no process that we start takes it for its own
        self._socket: socket.socket | None = None
        if name[:1] in ("/", "@"):
            self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
            with contextlib.suppress(OSError):  # nobody listens; sending then fails likewise
                self._socket.connect("\0" + name[1:] if name[0] == "@" else name)
        self.interval = _interval()

    def close(self) -> None:
        """Say no more."""
        if self._socket is not None:
            self._socket.close()

    def say(self, *lines: str) -> None:
        """Send "READY=1", "STATUS=…", "STOPPING=1" or "WATCHDOG=1"; nothing where nobody listens."""
        if self._socket is not None:
            with contextlib.suppress(OSError):
                self._socket.send("\n".join(lines).encode())


def _interval() -> float | None:
    """Every how many seconds we must say that we live: half the time after which we'd be taken for dead."""
    pid, within = os.environ.pop("WATCHDOG_PID", ""), os.environ.pop("WATCHDOG_USEC", "")
    if not within.isdigit() or int(within) == 0 or pid not in ("", str(os.getpid())):
        return None
    return int(within) / 2_000_000
