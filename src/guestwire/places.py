"""The names that go without saying: of the file, of the folder for what runs, of a lab's places beside its guests."""

from __future__ import annotations

__all__ = ["DEFAULT_FILE", "PLACES", "RUN", "SWITCH", "is_lab_namespace"]

DEFAULT_FILE = "guestwire.yaml"
RUN = "/run/guestwire"
"""The folder of what the kernel can't hold, with one in it for each project."""
PLACES = ("host", "lan", "gateway", "internet")
SWITCH = "switch"  # its namespace is PROJECT.switch: no guest's can have a dot in its name


def is_lab_namespace(name: str, project: str) -> bool:
    """Whether a namespace's name is one of those that a project's lab has beside its guests'."""
    return name in {f"{project}-{place}" for place in PLACES} | {f"{project}.{SWITCH}"}
