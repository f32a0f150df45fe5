"""Cables carry every frame in order, hold what the far end doesn't take yet, and let go of their descriptors."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing

import pytest

from guestwire.frames.cable import HEADER, Cables

FEW = 5
QUIET = 3  # turns in which nothing came: nothing will


class Line:
    """A cable between two devices of which a test plays the kernel's part; frames are datagrams on sockets."""

    def __init__(self, cables: Cables, name: str) -> None:
        self.cables = cables
        self.left, near = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.right, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        for device in (self.left, self.right):
            device.setblocking(False)
        self.fds = near.detach(), far.detach()
        cables.add(name, *self.fds, label=[name])

    def heard(self) -> list[bytes]:
        """What has come out on the right, and comes as room is made there."""
        found: list[bytes] = []
        quiet = 0
        while quiet < QUIET:
            self.cables.turn(0)
            try:
                found.append(self.right.recv(1 << 17))
                quiet = 0
            except BlockingIOError:
                quiet += 1
        return found

    def close(self) -> None:
        """Close the test's ends."""
        self.left.close()
        self.right.close()


Plug = Callable[[str], Line]


@pytest.fixture
def cables() -> Iterator[Cables]:
    """No cables yet."""
    found = Cables()
    yield found
    found.close()


@pytest.fixture
def plug(cables: Cables) -> Iterator[Plug]:
    """Plugs in a cable of that name."""
    with ExitStack() as lines:
        yield lambda name: lines.enter_context(closing(Line(cables, name)))


def frame(number: int, size: int = 100) -> bytes:
    """A frame that can be told from others."""
    return number.to_bytes(4) + bytes(HEADER + size - 4)


def test_frames_go_both_ways_and_are_counted(cables: Cables, plug: Plug) -> None:
    line = plug("a")
    for number in range(FEW):
        line.left.send(frame(number))
    assert line.heard() == [frame(number) for number in range(FEW)]
    line.right.send(frame(9, 65000))
    cables.turn(1)
    assert line.left.recv(1 << 17) == frame(9, 65000)
    cable = cables.by_name["a"]
    assert cable.label == ["a"]
    assert cable.out.counters() == (FEW, FEW * 100, 0)
    assert cable.back.counters() == (1, 65000, 0)


def test_what_the_far_end_does_not_take_yet_is_held_in_order_and_nobody_spins(cables: Cables, plug: Plug) -> None:
    line = plug("a")
    held = cables.by_name["a"].out
    sent = 0
    while held.held is None:  # until the queue on the right is full (net.unix.max_dgram_qlen)
        line.left.send(frame(sent))
        sent += 1
        cables.turn(0)
    before = held.frames
    for _ in range(3):
        cables.turn(0)
    assert (held.frames, held.drops) == (before, 0)
    line.right.send(frame(1))  # the other way goes on meanwhile
    cables.turn(0)
    assert line.left.recv(1 << 17) == frame(1)
    heard = line.heard()
    assert heard == [frame(number) for number in range(sent)]
    assert held.held is None


def test_frames_for_an_end_that_is_gone_are_dropped_and_counted(cables: Cables, plug: Plug) -> None:
    line = plug("a")
    line.right.close()
    for number in range(FEW):
        line.left.send(frame(number))
        cables.turn(0)
    assert cables.by_name["a"].out.counters() == (0, 0, FEW)


def test_cable_is_replaced_and_pulled_out_with_its_descriptors(cables: Cables, plug: Plug) -> None:
    before = len(os.listdir("/proc/self/fd"))
    first = plug("a")
    second = plug("a")
    first.close()
    assert list(cables.by_name) == ["a"]
    second.left.send(frame(1))
    assert second.heard() == [frame(1)]
    cables.remove("a")
    cables.remove("a")
    second.close()
    assert not cables.by_name
    assert len(os.listdir("/proc/self/fd")) == before


def test_one_cable_that_is_stuck_holds_up_no_other(cables: Cables, plug: Plug) -> None:
    stuck, free = plug("stuck"), plug("free")
    while cables.by_name["stuck"].out.held is None:
        stuck.left.send(frame(0))
        cables.turn(0)
    for number in range(FEW):
        free.left.send(frame(number))
    assert free.heard() == [frame(number) for number in range(FEW)]
