"""`guestwire watch`: keep a project as its file says, repairing what breaks, until stopped."""

from __future__ import annotations

from argparse import Namespace

from guestwire.cli.table import FILE, Argument, Verb, of_project

__all__ = ["VERB", "run"]

VERB = Verb(
    "watch",
    "keep it so: repair what breaks, until stopped",
    (
        FILE,
        of_project("the project, where the file doesn't say; it must be up"),
        Argument("--up", "build it first, where it isn't up"),
    ),
    details="""\
It first does what `up` would do. Then it hears of every change, puts back what somebody has deleted, set down, moved or
changed, and starts again what has died; for each repair it prints a line. A change by `up` is taken over; `down` ends
it. While another guestwire is at work, or a change is unsettled, it does nothing. What somebody undoes again and again
is left alone for longer and longer. Ctrl-C and SIGTERM end it with 0; what is built stays. As a systemd service:
`guestwire service install`.

With --json the document is printed at the end, with the last 1,000 repairs.""",
    examples=(
        ("guestwire watch", "keep the project of guestwire.yaml in this folder as it is"),
        ("guestwire watch --up", "the same, building it first where it isn't up, as a service does at boot"),
    ),
    exits=((0, "stopped, or the project was taken down"), (64, "also: the project isn't up")),
)


def run(args: Namespace) -> int:
    """Watch it, and say what was repaired."""
    from guestwire import api
    from guestwire.cli.terminal import emit, put, say
    from guestwire.show.words import repaired

    watched = api.watch(
        args.file,
        project=args.project,
        netns=args.netns,
        build=args.up,
        tell=(lambda repair: say(args, repaired(repair))) if args.json else lambda repair: put(repaired(repair) + "\n"),
        begun=lambda project: say(args, f"watching {project}."),
    )
    if args.json:
        emit(args, watched.to_json(), "")
    elif watched.ended == "down":
        say(args, f"{watched.project} was taken down.")
    return 0
