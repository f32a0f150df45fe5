"""All that the command line does, from Python: each verb is a function here, and `cli/` only reads words and prints.

Functions raise `guestwire.errors`; what holds after one is said there.
"""

from guestwire.api.change import Outcome, down, plan, rollback, up
from guestwire.api.look import Listed, Status, everything, list_projects, picture, status

__all__ = [
    "Listed",
    "Outcome",
    "Status",
    "down",
    "everything",
    "list_projects",
    "picture",
    "plan",
    "rollback",
    "status",
    "up",
]
