"""Frames captured from real links, in a network namespace of the test's own, read back as a capture file."""

from __future__ import annotations

import errno
import fcntl
import io
import os
import shutil
import signal
import socket
import struct
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, NamedTuple

import pytest

from guestwire.linux import namespaces, userns
from guestwire.linux.libc import CLONE_NEWNET, setns, unshare
from guestwire.linux.netlink import Socket
from guestwire.linux.packets import Captured, capture, watch
from guestwire.linux.rtnetlink import dump_links

IF_OPER_UP = 6
FRAME = bytes.fromhex("ffffffffffff 020000000001 88b5") + bytes(range(46))
TAGGED = FRAME[:12] + bytes.fromhex("8100 6064") + FRAME[12:]
DOUBLE = FRAME[:12] + bytes.fromhex("88a8 0064 8100 0065") + FRAME[12:]


class Record(NamedTuple):
    time: float
    length: int
    frame: bytes


def records(data: bytes) -> tuple[int, list[Record]]:
    """The link type, and the frames of a capture file."""
    magic, major, minor, _, _, _, kind = struct.unpack_from("=IHHiIII", data)
    assert (magic, major, minor) == (0xA1B23C4D, 2, 4)
    found, at = [], 24
    while at < len(data):
        seconds, nanoseconds, kept, length = struct.unpack_from("=IIII", data, at)
        found.append(Record(seconds + nanoseconds / 1e9, length, data[at + 16 : at + 16 + kept]))
        assert len(found[-1].frame) == kept
        at += 16 + kept
    return kind, found


def ip(words: str) -> None:
    subprocess.run(["ip", *words.split()], check=True, env={**os.environ, "PATH": f"{os.environ['PATH']}:/usr/sbin"})


@pytest.fixture(autouse=True)
def pair() -> Iterator[None]:
    """A namespace with a pair of links, a and b, on which nobody speaks but we; this thread is in it."""
    if not userns.capable():
        pytest.skip("needs root")
    home = namespaces.current()
    unshare(CLONE_NEWNET)
    try:
        ip("link add name a type veth peer name b")
        for link in "ab":
            with open(f"/proc/sys/net/ipv6/conf/{link}/disable_ipv6", "w") as file:
                file.write("1")
            ip(f"link set dev {link} up")
        _wait_until_up("a", "b")
        yield
    finally:
        setns(home, CLONE_NEWNET)
        os.close(home)


def _wait_until_up(*names: str) -> None:
    """Until the kernel has taken note that they are up; before that it drops what is sent, without a word."""
    sock = Socket()
    deadline = time.monotonic() + 20
    while {link.operstate for link in dump_links(sock) if link.name in names} != {IF_OPER_UP}:
        assert time.monotonic() < deadline
        os.sched_yield()
    sock.close()


def send(*frames: bytes, link: str = "a") -> None:
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as sock:
        sock.bind((link, 0))
        for frame in frames:
            sock.send(frame)


def captured(*frames: bytes, snaplen: int = 262144) -> list[Record]:
    """What a capture on b says of frames sent on a."""
    out = io.BytesIO()
    with watch("b") as sock:
        send(*frames)
        assert capture(sock, out, count=len(frames), snaplen=snaplen) == Captured(len(frames), 0)
    kind, found = records(out.getvalue())
    assert kind == 1
    return found


@contextmanager
def meanwhile(do: Callable[[], object]) -> Iterator[None]:
    """Do it in another thread once this one is asleep in poll, as a capture is that waits."""
    here = namespaces.current()
    asleep = Path(f"/proc/self/task/{threading.get_native_id()}/wchan")

    def wait_and_do() -> None:
        setns(here, CLONE_NEWNET)  # a thread begins in the namespace of the one that started it; be sure
        deadline = time.monotonic() + 20
        while "poll" not in asleep.read_text() and time.monotonic() < deadline:
            os.sched_yield()
        do()

    thread = threading.Thread(target=wait_and_do)
    thread.start()
    try:
        yield
    finally:
        thread.join()
        os.close(here)


def test_frames_are_as_they_were_sent() -> None:
    before = time.time()
    (record,) = captured(FRAME)
    assert record.frame == FRAME
    assert record.length == len(FRAME)
    assert before <= record.time <= time.time()
    assert record.time * 1000 % 1 != 0  # finer than milliseconds, at any rate


@pytest.mark.parametrize("frame", [TAGGED, DOUBLE], ids=["tag", "two tags"])
def test_vlan_tags_are_put_back(frame: bytes) -> None:
    (record,) = captured(frame)
    assert record.frame == frame
    assert record.length == len(frame)


def test_what_is_cut_says_how_long_it_was() -> None:
    plain, tagged = captured(FRAME, TAGGED, snaplen=20)
    assert (plain.frame, plain.length) == (FRAME[:20], len(FRAME))
    assert (tagged.frame, tagged.length) == (TAGGED[:20], len(TAGGED))


def test_count_ends_it_with_more_waiting() -> None:
    out = io.BytesIO()
    with watch("b") as sock:
        send(*[FRAME] * 10)
        assert capture(sock, out, count=3).frames == 3
    assert len(records(out.getvalue())[1]) == 3


def test_both_directions_are_seen() -> None:
    out = io.BytesIO()
    with watch("b") as sock:
        send(FRAME, link="a")
        send(TAGGED, link="b")
        capture(sock, out, count=2)
    assert [record.frame for record in records(out.getvalue())[1]] == [FRAME, TAGGED]


def test_frames_on_lo_are_seen_once() -> None:
    ip("link set dev lo up")
    out = io.BytesIO()
    with watch("lo") as sock, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        for _ in range(3):
            sender.sendto(b"x" * 100, ("127.0.0.1", 9))
        # Each is followed by an ICMP "port unreachable".
        capture(sock, out, count=6)
    assert len([r for r in records(out.getvalue())[1] if r.frame[23] == socket.IPPROTO_UDP]) == 3


def test_a_tun_link_has_packets_without_ethernet() -> None:
    try:
        tun = os.open("/dev/net/tun", os.O_RDWR)
    except OSError as error:
        pytest.skip(str(error))
    try:
        fcntl.ioctl(tun, 0x400454CA, struct.pack("16sH22x", b"t", 0x1001))  # TUNSETIFF, IFF_TUN | IFF_NO_PI
        ip("link set dev t up")
        packet = bytes.fromhex("45000014 00000000 40110000 0a000001 0a000002")
        out = io.BytesIO()
        with watch("t") as sock:
            os.write(tun, packet)
            capture(sock, out, count=1)
        kind, found = records(out.getvalue())
        assert kind == 101
        assert packet in [record.frame for record in found]
    finally:
        os.close(tun)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_cleanly(number: int) -> None:
    out = io.BytesIO()
    handlers = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    with watch("b") as sock:
        send(FRAME, FRAME)
        with meanwhile(lambda: os.kill(os.getpid(), number)):
            assert capture(sock, out).frames == 2
    assert len(records(out.getvalue())[1]) == 2
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == handlers


@pytest.fixture
def pipe() -> Iterator[tuple[BinaryIO, BinaryIO]]:
    ours, theirs = os.pipe()
    with os.fdopen(ours, "rb") as reader, os.fdopen(theirs, "wb") as writer:
        yield reader, writer


def test_a_reader_who_goes_ends_it_though_no_frame_comes(pipe: tuple[BinaryIO, BinaryIO]) -> None:
    reader, writer = pipe
    with watch("b") as sock:
        send(FRAME)
        with meanwhile(reader.close):
            assert capture(sock, writer).frames == 1


def test_a_reader_who_is_gone_already(pipe: tuple[BinaryIO, BinaryIO]) -> None:
    reader, writer = pipe
    reader.close()
    with watch("b") as sock, writer.raw as raw:  # type: ignore[attr-defined]
        assert capture(sock, raw).frames == 0


def test_frames_are_written_at_once(pipe: tuple[BinaryIO, BinaryIO]) -> None:
    """The reader has each before the next is sent."""
    reader, writer = pipe
    seen: list[bytes] = []

    def read() -> None:
        reader.read(24)
        for number in range(3):
            send(FRAME[:-1] + bytes([number]))
            seen.append(reader.read(16 + len(FRAME))[16:])

    with watch("b") as sock, meanwhile(read):
        assert capture(sock, writer, count=3).frames == 3
    assert [frame[-1] for frame in seen] == [0, 1, 2]


@pytest.mark.skipif(not shutil.which("tcpdump", path=f"{os.environ['PATH']}:/usr/sbin"), reason="needs tcpdump")
def test_tcpdump_reads_it() -> None:
    out = io.BytesIO()
    with watch("b") as sock:
        send(FRAME, TAGGED)
        capture(sock, out, count=2)
    tcpdump = shutil.which("tcpdump", path=f"{os.environ['PATH']}:/usr/sbin")
    done = subprocess.run([str(tcpdump), "-enr", "-"], input=out.getvalue(), capture_output=True, check=True)
    plain, tagged = (line for line in done.stdout.decode().splitlines() if not line.startswith("\t"))
    assert "ethertype Unknown (0x88b5)" in plain
    assert "vlan 100, p 3" in tagged


@pytest.mark.parametrize("how", ["link set dev b down", "link delete dev b"])
def test_a_link_that_goes_is_told_after_its_last_frame(how: str) -> None:
    out = io.BytesIO()
    with watch("b") as sock:
        send(FRAME)
        ip(how)
        with pytest.raises(OSError, match=r"\[Errno \d+\] the link is (down|gone)") as told:
            capture(sock, out)
    assert told.value.errno in (errno.ENETDOWN, errno.ENODEV)
    if "down" in how:  # of a deleted one nothing is known any more, its kind neither
        assert [record.frame for record in records(out.getvalue())[1]] == [FRAME]
        assert told.value.filename == "b"


def test_a_link_that_goes_while_we_wait_is_told() -> None:
    gone = pytest.raises(OSError, match="the link is down")
    with watch("b") as sock, meanwhile(lambda: ip("link delete dev b")), gone as told:
        capture(sock, io.BytesIO())
    assert told.value.filename == "b"


def test_a_link_that_is_down_or_missing() -> None:
    ip("link set dev b down")
    with watch("b") as sock, pytest.raises(OSError, match="the link is down"):
        capture(sock, io.BytesIO())
    with pytest.raises(OSError) as told:  # noqa: PT011
        watch("nosuch")
    assert (told.value.errno, told.value.filename) == (errno.ENODEV, "nosuch")


def test_what_the_kernel_drops_is_counted() -> None:
    with watch("b") as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        send(*[FRAME + bytes(1000)] * 100)
        kept = capture(sock, io.BytesIO(), count=2)
    assert kept.dropped > 50


def test_a_full_disk_is_an_error() -> None:
    with (
        watch("b") as sock,
        open("/dev/full", "wb", buffering=0) as full,
        pytest.raises(OSError, match="No space left"),
    ):
        capture(sock, full)
