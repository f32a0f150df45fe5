"""What the kernel's answers to a batch tell, and that a batch without answers isn't taken for done."""

from __future__ import annotations

import errno
import os
import socket
import struct
from collections.abc import Iterator
from contextlib import closing

import pytest

from guestwire.linux.netlink import BATCH, NetlinkError, Request, Socket
from guestwire.linux.rtnetlink import delete_link, dump_links

NLMSG_ERROR, RTM_GETLINK = 2, 18
NOBODY = 1 << 30  # an index that no link has


@pytest.fixture
def sock() -> Iterator[Socket]:
    with closing(Socket()) as made:
        yield made


@pytest.fixture
def cramped(sock: Socket) -> Socket:
    """A socket that has room for an answer or two, so that the kernel really has none for those that follow."""
    with socket.socket(fileno=os.dup(sock.fileno())) as same:
        same.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
    return sock


def wrong(number: int) -> list[Request]:
    return [delete_link(NOBODY)] * number


def test_each_refusal_has_its_request(sock: Socket) -> None:
    failed = sock.transact(wrong(3))
    assert [(error.index, error.errno) for error in failed] == [(0, errno.ENODEV), (1, errno.ENODEV), (2, errno.ENODEV)]


def test_answers_that_find_no_room_are_no_success(cramped: Socket) -> None:
    failed = cramped.transact(wrong(2 * BATCH + 1))
    assert [error.index for error in failed] == list(range(2 * BATCH + 1))
    assert {error.errno for error in failed[: 2 * BATCH]} == {errno.ENOBUFS}
    assert failed[-1].errno == errno.ENODEV  # a batch of one, whose answer has room


def test_what_is_asked_after_lost_answers_is_answered(cramped: Socket) -> None:
    for _ in range(3):
        assert cramped.transact(wrong(BATCH))[0].errno == errno.ENOBUFS
        assert [error.errno for error in cramped.transact(wrong(1))] == [errno.ENODEV]
        assert "lo" in {link.name for link in dump_links(cramped)}


def test_a_dump_that_is_refused_says_why(sock: Socket) -> None:
    with pytest.raises(NetlinkError, match="header"):
        sock.dump(Request(RTM_GETLINK, 0, bytes(4)))


def test_an_answer_that_is_not_the_kernels_is_none(sock: Socket) -> None:
    forged = b"".join(
        struct.pack("=IHHIIi", 20, kind, 0, sequence, 0, 0) for sequence in range(1, 6) for kind in (NLMSG_ERROR, 3)
    )
    with (
        socket.socket(fileno=os.dup(sock.fileno())) as same,
        socket.socket(socket.AF_NETLINK, socket.SOCK_RAW) as other,
    ):
        other.sendto(forged, same.getsockname())
    assert [error.errno for error in sock.transact(wrong(1))] == [errno.ENODEV]
    assert "lo" in {link.name for link in dump_links(sock)}


def test_what_cannot_be_sent_is_refused(sock: Socket) -> None:
    sock.close()
    assert [error.errno for error in sock.transact(wrong(2))] == [errno.EBADF] * 2
