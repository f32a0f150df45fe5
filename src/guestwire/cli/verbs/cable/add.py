"""`guestwire cable add`: plug a cable between a tap and another, or a macvtap."""

from __future__ import annotations

from argparse import Namespace

from guestwire.cli.table import Argument, Verb, project_name

__all__ = ["VERB", "run"]

VERB = Verb(
    "cable add",
    "plug a cable between a tap and another, or a macvtap",
    (
        Argument("PROJECT", "the project whose process holds it", type=project_name),
        Argument("NIC", "a tap, as NETNS/LINK, or LINK in this namespace; the cable is called by it"),
        Argument("LINK", "the tap or macvtap that it leads to, likewise"),
    ),
    details="""\
`up` plugs in all cables of a file by itself: those of NICs with `device: tap` or `device: macvtap`. This verb is
for single ones, and `plan --commands` prints it. A process for each project holds its cables. It is started with the
first, and ends with the last. If the NIC has a cable already, that is replaced.""",
    examples=(("guestwire cable add p red/tap0 tap1", "join tap0 in the namespace `red` to tap1 here"),),
)


def run(args: Namespace) -> int:
    """Plug it in, and say so."""
    from guestwire import api
    from guestwire.cli.terminal import emit

    made = api.add_cable(args.project, args.nic, args.link, netns=args.netns)
    emit(args, made.to_json(), f"{args.nic} is plugged into {args.link}.")
    return 0
