"""One file per verb, each with a `VERB` (what it takes) and a `run` (a few lines over `guestwire.api`).

A file is found by lying here. What is heavy to import is imported inside `run`, so that `guestwire --help`, which
imports them all, stays quick.
"""

__all__: list[str] = []
