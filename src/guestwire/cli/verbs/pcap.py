"""`guestwire pcap`: the frames of a guest's NIC, as a capture file on standard output."""

from __future__ import annotations

import io
import sys
from argparse import Namespace

from guestwire.cli.table import LAB, Argument, Verb, number

__all__ = ["VERB", "run"]


VERB = Verb(
    "pcap",
    "frames of a guest's NIC to standard output, for Wireshark or tcpdump",
    (
        Argument("GUEST[:NIC]", "the guest, and which of its NICs; the first by default"),
        LAB,
        Argument("--count", "end after so many frames", value="N", type=number("frames", 1)),
    ),
    details="""\
With --json the frames come at the end, each with the time it passed, its length, and its bytes in hexadecimal
digits.""",
    examples=(
        ("guestwire pcap web | wireshark -k -i -", "watch the frames of `web` as they come"),
        ("guestwire pcap web:eth1 --count 10 | tcpdump -r -", "the next ten on its NIC eth1"),
    ),
)


def run(args: Namespace) -> int:
    """Write frames until the count, the reader or Ctrl-C ends it."""
    from guestwire import api
    from guestwire.cli.terminal import emit, say
    from guestwire.linux.packets import frames

    api.find_nic(args.guest)
    out = io.BytesIO() if args.json else sys.stdout.buffer
    captured = api.pcap(args.guest, out, count=args.count)
    if isinstance(out, io.BytesIO):
        found = [frame.to_json() for frame in frames(out.getvalue())]
        emit(args, {"guest": args.guest, "frames": found, "dropped": captured.dropped}, "")
        return 0
    lost = f", {captured.dropped:,} dropped by the kernel" if captured.dropped else ""
    say(args, f"{captured.frames:,} frames{lost}.")
    return 0
