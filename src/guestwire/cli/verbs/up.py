"""`guestwire up`: build, or change to, what the file says."""

from __future__ import annotations

from argparse import Namespace
from typing import TYPE_CHECKING

from guestwire.cli.table import FILE, PROJECT, Argument, Verb, number

if TYPE_CHECKING:
    from guestwire.api.foreseen import Foreseen

__all__ = ["VERB", "run"]

MOST = 7 * 24 * 3600  # seconds


VERB = Verb(
    "up",
    "build or change to what the file says",
    (
        FILE,
        Argument("--lab", "in a lab: private namespaces with a make-believe outside, which can't hurt this machine"),
        PROJECT,
        Argument(
            "--confirm",
            "take all back after so many seconds, unless `guestwire confirm` comes",
            value="SECONDS",
            type=number("seconds", 1, MOST),
        ),
        Argument("--keep", "keep the change where an expectation of the file fails; the exit code is 1 all the same"),
        Argument("--no-guard", "don't see to it that this host reaches whom it reached before"),
    ),
    details="""\
It makes one transaction of all that differs from the file. Where a step is refused, or on Ctrl-C, all the steps before
it are undone. Guests that the change doesn't concern lose no packet; with nothing to change, nothing is written.

Once all is done that can be undone, the change is judged, and taken back where something is against it (exit code 1).
A gateway of this host, a DNS server of its resolv.conf or the client of the ssh connection that it is run under, which
answered before, must answer within five seconds; `--no-guard` leaves that out. What the file expects must hold; an
expectation that can't be measured from here is told, and is no reason to go back.

With `--confirm` it waits then for `guestwire confirm`. SECONDS count from when all is done. A process of its own takes
the change back when they are over, or at once where this one is killed midway: under systemd a service of the system,
else one that is detached from terminal and login. Meanwhile other commands that change this host end with 75.""",
    examples=(
        ("guestwire up --lab", "build guestwire.yaml of this folder in a lab"),
        (
            "guestwire up examples/three-ways.yaml --lab --project demo",
            "the same file again beside it, as another project",
        ),
        (
            "guestwire up --confirm 60",
            "from afar: all is as before in a minute, unless you get in to confirm",
        ),
    ),
    exits=((0, "done; with --confirm: it waits"), (1, "taken back, or with --keep kept: an expectation or the guard")),
)


def run(args: Namespace) -> int:
    """Build it, and say what was done."""
    from guestwire import api

    with api.ahead(args.file, args.project) as foreseen:
        return _build(args, foreseen)


def _build(args: Namespace, foreseen: Foreseen) -> int:
    from guestwire import api
    from guestwire.cli.terminal import emit, say, shows_progress, tell
    from guestwire.show.words import accepted, done, waits

    progress = shows_progress(args)

    def doing(what: str) -> None:
        if progress:
            tell(f"\r\033[K{what}")

    judged = {"confirm": args.confirm, "keep": args.keep, "guard": not args.no_guard, "tell": doing}
    try:
        made = api.up(args.file, lab=args.lab, project=args.project, netns=args.netns, foreseen=foreseen, **judged)
    finally:
        doing("")
    judgement = made.judgement()
    for warning in (*made.warnings, *accepted(judgement)):
        say(args, f"warning: {warning}")
    emit(args, made.to_json, lambda: done(made.project, made.plan, lab=args.lab) + waits(made.plan, judgement))
    return 1 if made.acceptance and made.acceptance.failed else 0
