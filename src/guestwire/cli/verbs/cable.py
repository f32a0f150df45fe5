"""`guestwire cable`: single cables between a guest's tap and a tap or macvtap on the host."""

from __future__ import annotations

from argparse import Namespace

from guestwire.cli.table import Argument, Verb
from guestwire.errors import UsageError

__all__ = ["VERB", "run"]

WORDS = {"add": ("project", "nic", "link"), "del": ("project", "nic"), "list": ()}

VERB = Verb(
    "cable",
    "cables between taps, held by guestwire: add one, delete one, list all with what they carried",
    (
        Argument("ACTION", "add, del or list", choices=tuple(WORDS)),
        Argument("PROJECT", "the project whose process holds it; of list, all by default", optional=True),
        Argument("NIC", "a tap, as NETNS/LINK, or LINK in this namespace; a cable is called by it", optional=True),
        Argument("LINK", "the tap or macvtap to which add leads it, likewise", optional=True),
    ),
    details="""\
`up` plugs in all cables of a file by itself, those of NICs with `device: tap` or `device: macvtap`. This verb is for
single ones, and what `plan --commands` says for them. A process for each project holds its cables; it is started with
the first and ends with the last.""",
    examples=(
        ("guestwire cable list", "every cable, and how many frames it carried"),
        ("guestwire cable add p red/tap0 tap1", "join tap0 in the namespace red to tap1 here"),
        ("guestwire cable del p red/tap0", "pull it out"),
    ),
)


def run(args: Namespace) -> int:
    """Do it, and say what."""
    from guestwire import api
    from guestwire.cli.terminal import emit, say
    from guestwire.show.words import table

    missing = [word.upper() for word in WORDS[args.action] if getattr(args, word) is None]
    if missing:
        raise UsageError(f"cable {args.action} wants {' and '.join(missing)} too.", hint=VERB.synopsis)
    if args.action == "add":
        cable = api.add_cable(args.project, args.nic, args.link, netns=args.netns)
        emit(args, {"cable": cable.to_json()}, "")
        say(args, f"{args.nic} is plugged into {args.link}.")
    elif args.action == "del":
        api.remove_cable(args.project, args.nic, netns=args.netns)
        emit(args, {"removed": args.nic}, "")
        say(args, f"The cable of {args.nic} is pulled out.")
    else:
        found = api.cables(args.project)
        rows: list[tuple[str, ...]] = [("PROJECT", "NIC", "LEADS TO", "DEVICE", "SENT", "RECEIVED", "DROPPED")]
        for each in found:
            netns, link, device = each.end or ("", "nowhere", "")
            counts = (each.sent[0], each.received[0], each.sent[2] + each.received[2])
            ends = (f"{each.netns}/{each.name}", f"{netns}/{link}" if netns else link, device)
            rows.append((each.owner or "", *ends, *(f"{count:,}" for count in counts)))
        documents = [{**each.to_json(), **each.counters()} for each in found]
        emit(args, {"cables": documents}, lambda: table(rows) if found else "There are no cables.\n")
    return 0
