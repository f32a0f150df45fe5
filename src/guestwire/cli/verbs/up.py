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
All that differs from the file is changed in one transaction. If a step is refused, or on Ctrl-C, all the steps before
it are undone. Guests that the change doesn't concern lose no packet; if nothing differs, nothing is written.

When everything is done that can still be undone, the change is checked, and taken back if a check fails (exit code 1).
Who answered before must answer again within five seconds: this host's gateways, the DNS servers of its resolv.conf, the
client of the ssh connection that you use; `--no-guard` leaves this check out. What the file expects must hold; an
expectation that can't be measured from here is reported, and doesn't take the change back.

With `--confirm` it then waits for `guestwire confirm`. SECONDS count from when all is done. When they are over, or at
once if `up` is killed midway, another process takes the change back: under systemd a service of the system, else one
that is detached from terminal and login. Until then other commands that change this host end with 75.""",
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
