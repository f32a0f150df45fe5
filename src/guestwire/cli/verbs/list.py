"""`guestwire list`: all projects on this host."""

from __future__ import annotations

from argparse import Namespace

from guestwire.cli.table import Verb

__all__ = ["VERB", "run"]

VERB = Verb("list", "all projects on this host")


def run(args: Namespace) -> int:
    """Print the projects."""
    from guestwire import api

    raise NotImplementedError(api)
