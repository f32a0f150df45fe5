"""`guestwire service install`: have a project built at boot and watched, as a systemd service."""

from __future__ import annotations

from argparse import Namespace

from guestwire.cli.table import FILE, Verb, of_project

__all__ = ["VERB", "run"]

VERB = Verb(
    "service install",
    "have a project built at boot and watched, as a systemd service",
    (
        FILE,
        of_project("the project's name, in place of the file's"),
    ),
    details="""\
It writes /etc/systemd/system/guestwire-PROJECT.service, which runs `guestwire watch --up`, and enables and starts it
where systemd runs; else it says what to run. A unit of that name that isn't guestwire's is left as it is. Stopping the
service leaves the network as it is.""",
    examples=(("guestwire service install", "build guestwire.yaml of this folder at each boot, and keep it so"),),
)


def run(args: Namespace) -> int:
    """Install it, and say what is left to do."""
    from guestwire import api
    from guestwire.cli.terminal import emit
    from guestwire.show.words import served

    service = api.install_service(args.file, project=args.project, netns=args.netns)
    emit(args, service.to_json(), lambda: served(service.to_json()))
    return 0
