"""Cables: each carries frames between two descriptors, as a hypervisor does between a guest's NIC and the host's tap.

A frame is read from one descriptor and written to the other, with the virtio-net header before it, untouched. So
segmentation offload passes: a sender's 64 KiB of TCP cross as one frame, and a sum that nobody has finished needn't
be. Frames a second are what costs; that is why it is fast enough in Python (bench/frames.py).

One thread carries all cables, by epoll: a thousand can't have two thousand threads. A blocking thread for each
direction was measured, and is no faster but on a machine that has more to do than processors (docs/figures.md). A
frame's way is copying and waking, and to be woken costs more than to look again for a while.

What can go wrong with a frame, and what becomes of it:

- The far end takes no more (EAGAIN: its send buffer is full, a macvtap's is 212,992 bytes): the frame is held, and its
  way is not read until the end takes it. So order is kept, and what can't wait is dropped where Linux drops it, before
  the cable, in the queue of the device that sent it.
- The far end is down (EIO), or refuses the frame (EINVAL): dropped and counted, as a NIC does with no cable in it.
- An end is gone (EBADFD): it is read no more. The cable stays until it is removed.
"""

from __future__ import annotations

import contextlib
import os
import select
import time
from collections.abc import Callable
from typing import Any, NamedTuple

__all__ = ["HEADER", "Cable", "Cables"]

HEADER = 10
"""Bytes of the virtio-net header before each frame, at both ends (struct virtio_net_hdr in linux/virtio_net.h)."""

ROOM = 1 << 17  # one frame: 65,535 bytes of packet, Ethernet and header; what is longer would be cut off silently
BUDGET = 16  # frames that one way may carry before others have their turn
DENSE = 16384  # bytes that a turn must have carried for the next to be waited for awake
AWAKE = 50e-6  # seconds of that: to be woken costs more, above all in a virtual machine
IN, OUT, GONE = select.EPOLLIN, select.EPOLLOUT, select.EPOLLERR | select.EPOLLHUP


class _Way:
    """One direction of a cable. `held` is a frame that the far end didn't take yet."""

    __slots__ = ("drops", "frames", "held", "octets", "sink", "source")

    def __init__(self, source: int, sink: int) -> None:
        self.source, self.sink = source, sink
        self.frames = self.octets = self.drops = 0
        self.held: bytes | None = None

    def counters(self) -> tuple[int, int, int]:
        """Frames and bytes carried, without headers, and frames dropped."""
        return self.frames, self.octets - HEADER * self.frames, self.drops


class Cable(NamedTuple):
    """A cable: its name, whatever its owner has written on its label, and its two ways."""

    name: str
    label: Any
    out: _Way
    back: _Way


class Cables:
    """All cables of a process, and the loop that serves them. For one thread."""

    def __init__(self) -> None:
        self.by_name: dict[str, Cable] = {}
        self._epoll = select.epoll()
        self._from: dict[int, _Way] = {}
        self._into: dict[int, _Way] = {}
        self._watched: dict[int, Callable[[], None]] = {}
        self._buffer = bytearray(ROOM)
        self._view = memoryview(self._buffer)
        self._awake = 0.0

    def add(self, name: str, near: int, far: int, label: Any = None) -> None:
        """Carry frames between two descriptors, which are the cable's from now on; one of that name is replaced.

        Raises OSError where they can't be waited for; they are closed then.
        """
        self.remove(name)
        cable = Cable(name, label, _Way(near, far), _Way(far, near))
        self.by_name[name] = cable
        for way in (cable.out, cable.back):
            self._from[way.source] = self._into[way.sink] = way
        try:
            for way in (cable.out, cable.back):
                os.set_blocking(way.source, False)
                self._epoll.register(way.source, IN)
        except OSError:
            self.remove(name)
            raise

    def remove(self, name: str) -> None:
        """Pull out a cable and close its ends; nothing where there is none."""
        cable = self.by_name.pop(name, None)
        for way in (cable.out, cable.back) if cable else ():
            del self._from[way.source], self._into[way.sink]
            self._unread(way.source)
            os.close(way.source)

    def close(self) -> None:
        """Pull out all cables."""
        for name in list(self.by_name):
            self.remove(name)
        self._epoll.close()

    def watch(self, fd: int, call: Callable[[], None]) -> None:
        """Have `call` called whenever that other descriptor can be read."""
        self._watched[fd] = call
        self._epoll.register(fd, IN)

    def unwatch(self, fd: int) -> None:
        """Watch it no longer; before it is closed."""
        del self._watched[fd]
        self._epoll.unregister(fd)

    def turn(self, seconds: float | None = None) -> None:
        """Wait until something is to be done, `seconds` at most, and do it once."""
        events = self._epoll.poll(0 if self._awake else seconds)
        if not events and self._awake and time.monotonic() > self._awake:
            self._awake = 0.0
        carried = 0
        for fd, event in events:
            way = self._from.get(fd)
            if way is None:
                if call := self._watched.get(fd):
                    call()
                continue
            if event & OUT:
                self._let_go(self._into[fd])
            if event & IN and way.held is None:
                carried += self._carry(way)
            if event & GONE:
                self._unread(fd)
        if carried > DENSE:
            self._awake = time.monotonic() + AWAKE

    def _carry(self, way: _Way) -> int:
        """Carry what is there, BUDGET frames at most; how many bytes that was."""
        source, sink, view, buffers = way.source, way.sink, self._view, [self._buffer]
        frames = octets = 0
        try:
            for _ in range(BUDGET):
                size = os.readv(source, buffers)
                try:
                    os.write(sink, view[:size])
                except BlockingIOError:
                    way.held = bytes(view[:size])
                    self._listen(way)
                    break
                except OSError:
                    way.drops += 1
                else:
                    frames += 1
                    octets += size
        except BlockingIOError:
            pass
        except OSError:
            self._unread(source)
        way.frames += frames
        way.octets += octets
        return octets

    def _let_go(self, way: _Way) -> None:
        """Try again with the frame that is held."""
        if way.held is not None:
            try:
                os.write(way.sink, way.held)
            except BlockingIOError:
                return
            except OSError:
                way.drops += 1
            else:
                way.frames += 1
                way.octets += len(way.held)
            way.held = None
        self._listen(way)

    def _listen(self, way: _Way) -> None:
        """Wait for what the way needs next: frames, or where one is held room for it. Each end serves two ways."""
        for fd in (way.source, way.sink):
            wanted = (0 if self._from[fd].held else IN) | (OUT if self._into[fd].held else 0)
            with contextlib.suppress(FileNotFoundError):  # gone already: it is read no more
                self._epoll.modify(fd, wanted)

    def _unread(self, fd: int) -> None:
        """Read an end no more, whose link is gone."""
        with contextlib.suppress(FileNotFoundError):
            self._epoll.unregister(fd)
