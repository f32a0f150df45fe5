"""`guestwire pcap`: the frames of a guest's NIC, as a capture file on standard output."""

from __future__ import annotations

import sys
from argparse import Namespace

from guestwire.cli.table import LAB, Argument, Verb, number
from guestwire.errors import UsageError

__all__ = ["VERB", "run"]


VERB = Verb(
    "pcap",
    "frames of a guest's NIC to standard output, for Wireshark or tcpdump",
    (
        Argument("GUEST[:NIC]", "the guest, and which of its NICs; the first by default"),
        LAB,
        Argument("--count", "end after so many frames", value="N", type=number("frames", 1)),
    ),
    examples=(
        ("guestwire pcap web | wireshark -k -i -", "watch the frames of `web` as they come"),
        ("guestwire pcap web:eth1 --count 10 | tcpdump -r -", "the next ten on its NIC eth1"),
    ),
)


def run(args: Namespace) -> int:
    """Write frames until the count, the reader or Ctrl-C ends it."""
    from guestwire import api
    from guestwire.cli.terminal import say

    api.find_nic(args.guest)
    if args.json:
        raise UsageError("pcap writes frames, and has no JSON.", hint="Leave --json out.")
    captured = api.pcap(args.guest, sys.stdout.buffer, count=args.count)
    lost = f", {captured.dropped:,} dropped by the kernel" if captured.dropped else ""
    say(args, f"{captured.frames:,} frames{lost}.")
    return 0
