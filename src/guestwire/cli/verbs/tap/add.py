"""`guestwire tap add`: make a tap, or a tun, that waits for a program to open it."""

from __future__ import annotations

from argparse import Namespace

from guestwire.cli.table import Argument, Verb, queues

__all__ = ["VERB", "run"]

VERB = Verb(
    "tap add",
    "make a tap that waits for a program to open it",
    (
        Argument("NAME", "the link's name, 1 to 15 characters"),
        Argument("--tun", "a tun: IP packets without Ethernet, no bridge's port"),
        Argument("--owner", "the user that may open it besides root, by name or number", value="USER"),
        Argument("--group", "the group whose members may; with --owner, that user in it", value="GROUP"),
        Argument(
            "--queues",
            "how many descriptors may be open at once",
            value="N",
            type=queues,
            default=1,
        ),
    ),
    details="""\
It persists until `guestwire tap del`, the end of its namespace or a reboot. It is up already, since its owner may not
set it up, and has no carrier until a program opens it. Without --owner and --group only root may open it; one that
`ip tuntap add` makes without them is open to everybody. With N of 2 or more every program must open it as one of
several queues; the kernel counts to 256, whatever N is.

It belongs to no project, so `up` and `down` of one leave it alone; a file may name it as an uplink.""",
    examples=(
        ("guestwire tap add tap0 --owner alice", "alice's QEMU can open it: `-netdev tap,ifname=tap0,script=no`"),
        ("guestwire tap add tun0 --tun", "for a VPN's program, run by root"),
    ),
)


def run(args: Namespace) -> int:
    """Make it, and say so."""
    from guestwire import api
    from guestwire.cli.terminal import emit
    from guestwire.show.taps import added

    made = api.add_tap(
        args.name, tun=args.tun, owner=args.owner, group=args.group, queues=args.queues, netns=args.netns
    )
    emit(args, made, lambda: added(made))
    return 0
