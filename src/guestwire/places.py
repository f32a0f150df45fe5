"""The names that go without saying: of the file, and of the places of a lab beside its guests."""

from __future__ import annotations

__all__ = ["DEFAULT_FILE", "PLACES", "SWITCH", "is_lab_namespace"]

DEFAULT_FILE = "guestwire.yaml"
PLACES = ("host", "lan", "gateway", "internet")
SWITCH = "switch"  # its namespace is PROJECT.switch: no guest's can have a dot in its name


def is_lab_namespace(name: str, project: str) -> bool:
    """Whether a namespace's name is one of those that a project's lab has beside its guests'."""
    return name in {f"{project}-{place}" for place in PLACES} | {f"{project}.{SWITCH}"}
