"""The virtio-net header and sums, by the arithmetic of RFC 1071."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guestwire.frames import VnetHeader, complete_checksum

HEADERS = st.builds(VnetHeader, st.integers(0, 255), st.integers(0, 255), *[st.integers(0, 65535) for _ in range(4)])


def folded(data: bytes) -> int:
    """The sum of RFC 1071 in 16 bits, added up one word at a time."""
    total = 0
    for (word,) in struct.iter_unpack("!H", data + bytes(len(data) % 2)):
        total += word
        total = (total & 0xFFFF) + (total >> 16)
    return total


@given(HEADERS, st.sampled_from([10, 12]), st.integers(0, 20))
def test_what_is_packed_is_parsed(header: VnetHeader, size: int, offset: int) -> None:
    data = bytes(offset) + header.pack(size)
    assert len(data) == offset + size
    assert VnetHeader.parse(data, offset) == header


def test_sizes_that_no_header_has() -> None:
    with pytest.raises(ValueError, match="10 or 12"):
        VnetHeader().pack(11)
    with pytest.raises(ValueError, match="here are 9"):
        VnetHeader.parse(bytes(9))


@given(st.binary(min_size=2, max_size=300), st.integers(0, 40), st.data())
def test_a_completed_sum_adds_up_to_all_ones(covered: bytes, start: int, data: st.DataObject) -> None:
    at = 2 * data.draw(st.integers(0, len(covered) // 2 - 1))
    partial = folded(covered)
    frame = bytearray(bytes(start) + covered)
    header = VnetHeader(flags=1, csum_start=start, csum_offset=at)
    done = complete_checksum(header, frame)
    assert done == VnetHeader()
    (written,) = struct.unpack_from("!H", frame, start + at)
    assert written == (~partial & 0xFFFF or 0xFFFF)
    assert frame[: start + at] == (bytes(start) + covered)[: start + at]


def test_what_needs_none_is_left_alone_and_what_has_none_is_refused() -> None:
    frame = bytearray(b"whole")
    assert complete_checksum(VnetHeader(), frame) == VnetHeader()
    assert frame == b"whole"
    with pytest.raises(ValueError, match="a segment"):
        complete_checksum(VnetHeader(flags=1, gso_type=1), frame)
    with pytest.raises(ValueError, match="at byte 4 of a frame of 5"):
        complete_checksum(VnetHeader(flags=1, csum_start=2, csum_offset=2), frame)
