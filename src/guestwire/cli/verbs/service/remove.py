"""`guestwire service remove`: take a project's systemd service away; what it built stays."""

from __future__ import annotations

from argparse import Namespace

from guestwire.cli.table import FILE, Verb, of_project

__all__ = ["VERB", "run"]

VERB = Verb(
    "service remove",
    "take a project's systemd service away; what is built stays",
    (
        FILE,
        of_project("the project's name; then no file is needed"),
    ),
    details="The service is stopped, disabled and its unit removed. The network stays up until `guestwire down`.",
    examples=(("guestwire service remove", "from the next boot on, guestwire.yaml's project isn't built by itself"),),
)


def run(args: Namespace) -> int:
    """Remove it, and say what is left to do."""
    from guestwire import api
    from guestwire.cli.terminal import emit
    from guestwire.show.words import served

    service = api.remove_service(args.file, project=args.project)
    emit(args, service.to_json(), lambda: served(service.to_json()))
    return 0
