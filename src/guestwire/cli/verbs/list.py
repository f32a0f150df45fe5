"""`guestwire list`: all projects on this host."""

from __future__ import annotations

from argparse import Namespace

from guestwire.cli.table import Verb

__all__ = ["VERB", "run"]

VERB = Verb("list", "all projects on this host")


def run(args: Namespace) -> int:
    """Print the projects."""
    from guestwire import api
    from guestwire.cli.terminal import emit
    from guestwire.show.words import listed

    documents = [project.to_json() for project in api.list_projects()]
    emit(args, {"projects": documents}, lambda: listed(documents))
    return 0
