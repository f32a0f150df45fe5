"""All that the command line does, from Python: each verb is a function here, and `cli/` only reads words and prints.

Functions raise `guestwire.errors`; what holds after one is said there.
"""

from guestwire.api.change import Outcome, down, plan, rollback, up
from guestwire.api.guest import execute, find_guest, pcap
from guestwire.api.look import Listed, Status, everything, host, list_projects, picture, status
from guestwire.api.measure import check
from guestwire.api.situation import is_some_project

__all__ = [
    "Listed",
    "Outcome",
    "Status",
    "check",
    "down",
    "everything",
    "execute",
    "find_guest",
    "host",
    "is_some_project",
    "list_projects",
    "pcap",
    "picture",
    "plan",
    "rollback",
    "status",
    "up",
]
