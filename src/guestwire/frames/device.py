"""A descriptor whose other end is a link: frames are read and written, by a thread that waits or by asyncio."""

from __future__ import annotations

import asyncio
import errno
import os
import select
from collections.abc import Callable
from types import TracebackType
from typing import Self, TypeVar

from guestwire.frames.header import Offload
from guestwire.linux import tuntap

__all__ = ["LONGEST", "Device"]

LONGEST = 65535 + 18
"""Bytes of the longest frame that the kernel hands over: a packet of 64 KiB behind Ethernet with a VLAN tag."""

T = TypeVar("T")
Buffer = bytes | bytearray | memoryview


class Device:
    """An open tap, tun or macvtap. Closed by `close`, or as a context manager.

    `vnet_header` is how many bytes of virtio-net header stand before each frame, 0 where there is none; they are part
    of what is read and written. Not for several readers at once: give each a device, that is a queue, of its own.
    """

    def __init__(self, fd: int, vnet_header: int = 0) -> None:
        """Take over a descriptor, say one that another process sent. It is set non-blocking, for both ways to wait."""
        os.set_blocking(fd, False)
        self._fd = fd
        self.name = tuntap.told(fd).name
        self.vnet_header = vnet_header
        if vnet_header:
            tuntap.set_header_size(fd, vnet_header)
        self.longest = LONGEST + vnet_header
        """The most bytes of one read or write."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name!r})"

    def fileno(self) -> int:
        """The descriptor, to wait on with others, or to hand to a child. Raises ValueError once it is closed."""
        if self._fd < 0:
            raise ValueError(f"{self!r} is closed")
        return self._fd

    def close(self) -> None:
        """Let go of it; the link loses its carrier with the last descriptor, and goes if it doesn't persist."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)

    def offload(self, wanted: Offload) -> Offload:
        """Take work upon ourselves that the kernel does for a reader else; what of it this kernel knows.

        It holds for all descriptors of the link. Raises ValueError without a virtio-net header, which tells what is
        left to be done to a frame.
        """
        if not self.vnet_header:
            raise ValueError(f"{self!r} has no virtio-net header: open it with vnet_header")
        return Offload(tuntap.set_offload(self.fileno(), wanted))

    # Raises OSError: EBADFD or ENODEV where the link is deleted, EIO where it is down (a write).

    def read(self) -> bytes:
        """The next frame; waits for it."""
        return self._wait(lambda: os.read(self.fileno(), self.longest), select.POLLIN)

    def read_into(self, buffer: bytearray | memoryview) -> int:
        """Read the next frame into a buffer; how many bytes it has.

        The kernel cuts what is too long for the buffer, and doesn't say. So the buffer must be longer than any frame:
        raises OSError (EMSGSIZE) where one fills it, and it is lost then.
        """
        count = self._wait(lambda: os.readv(self.fileno(), [buffer]), select.POLLIN)
        return self._uncut(count, len(buffer))

    def write(self, *parts: Buffer) -> None:
        """Write one frame, given whole or in parts. Raises OSError (EMSGSIZE) where it is longer than any can be."""
        self._admit(parts)
        self._wait(lambda: os.writev(self.fileno(), parts), select.POLLOUT)

    async def receive(self) -> bytes:
        """The next frame, as `read`, while other tasks of this loop go on."""
        return await self._ready(lambda: os.read(self.fileno(), self.longest), reading=True)

    async def receive_into(self, buffer: bytearray | memoryview) -> int:
        """As `read_into`, while other tasks of this loop go on."""
        count = await self._ready(lambda: os.readv(self.fileno(), [buffer]), reading=True)
        return self._uncut(count, len(buffer))

    async def send(self, *parts: Buffer) -> None:
        """As `write`, while other tasks of this loop go on."""
        self._admit(parts)
        await self._ready(lambda: os.writev(self.fileno(), parts), reading=False)

    def _admit(self, parts: tuple[Buffer, ...]) -> None:
        # The kernel takes 256 KiB in one write, and makes a frame of them that nothing behind it can take.
        length = sum(map(len, parts))
        if length > self.longest:
            raise OSError(errno.EMSGSIZE, f"a frame of {length:,} bytes is longer than any can be ({self.longest:,})")

    def _uncut(self, count: int, room: int) -> int:
        if count >= room:
            raise OSError(errno.EMSGSIZE, f"a frame filled the buffer of {room:,} bytes, and may have been longer")
        return count

    def _wait(self, attempt: Callable[[], T], event: int) -> T:
        while True:
            try:
                return attempt()
            except BlockingIOError:
                waiting = select.poll()
                waiting.register(self._fd, event)
                waiting.poll()

    async def _ready(self, attempt: Callable[[], T], *, reading: bool) -> T:
        loop = asyncio.get_running_loop()
        add, remove = (loop.add_reader, loop.remove_reader) if reading else (loop.add_writer, loop.remove_writer)
        while True:
            try:
                return attempt()
            except BlockingIOError:
                fd = self.fileno()
                ready: asyncio.Future[None] = loop.create_future()
                add(fd, _wake, ready)
                try:
                    await ready
                finally:
                    remove(fd)


def _wake(waiting: asyncio.Future[None]) -> None:
    if not waiting.done():
        waiting.set_result(None)
