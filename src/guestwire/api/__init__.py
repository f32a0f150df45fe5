"""All that the command line does, from Python: each verb is a function here, and `cli/` only reads words and prints.

Functions raise `guestwire.errors`; what holds after one is said there. Each is loaded when it is first asked for, so
that `up` need not load what only `check` uses.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from guestwire.api.cabling import add_cable, cables, remove_cable
    from guestwire.api.change import plan, up
    from guestwire.api.exporting import export
    from guestwire.api.foreseen import ahead
    from guestwire.api.guest import execute, find_guest, find_nic, pcap
    from guestwire.api.look import Listed, Status, everything, host, list_projects, picture, status
    from guestwire.api.machine import attach, find_machine, log
    from guestwire.api.measure import check
    from guestwire.api.outcome import Outcome
    from guestwire.api.rehearsing import Rehearsal, rehearse
    from guestwire.api.removal import down
    from guestwire.api.running import Wish, run
    from guestwire.api.service import Service, install_service, remove_service
    from guestwire.api.settling import confirm, rollback
    from guestwire.api.taps import add_tap, delete_tap, find_tap, list_taps
    from guestwire.api.watching import Watched, watch
    from guestwire.api.work import is_some_project

__all__ = [
    "Listed",
    "Outcome",
    "Rehearsal",
    "Service",
    "Status",
    "Watched",
    "Wish",
    "add_cable",
    "add_tap",
    "ahead",
    "attach",
    "cables",
    "check",
    "confirm",
    "delete_tap",
    "down",
    "everything",
    "execute",
    "export",
    "find_guest",
    "find_machine",
    "find_nic",
    "find_tap",
    "host",
    "install_service",
    "is_some_project",
    "list_projects",
    "list_taps",
    "log",
    "pcap",
    "picture",
    "plan",
    "rehearse",
    "remove_cable",
    "remove_service",
    "rollback",
    "run",
    "status",
    "up",
    "watch",
]

_HOMES = {
    "foreseen": ("ahead",),
    "cabling": ("add_cable", "cables", "remove_cable"),
    "change": ("plan", "up"),
    "exporting": ("export",),
    "guest": ("execute", "find_guest", "find_nic", "pcap"),
    "look": ("Listed", "Status", "everything", "host", "list_projects", "picture", "status"),
    "machine": ("attach", "find_machine", "log"),
    "measure": ("check",),
    "outcome": ("Outcome",),
    "rehearsing": ("Rehearsal", "rehearse"),
    "removal": ("down",),
    "running": ("Wish", "run"),
    "settling": ("confirm", "rollback"),
    "work": ("is_some_project",),
    "service": ("Service", "install_service", "remove_service"),
    "watching": ("Watched", "watch"),
    "taps": ("add_tap", "delete_tap", "find_tap", "list_taps"),
}


def __getattr__(name: str) -> Any:
    for home, names in _HOMES.items():
        if name in names:
            return getattr(import_module(f"{__name__}.{home}"), name)
    raise AttributeError(f"{__name__} has no {name}")
