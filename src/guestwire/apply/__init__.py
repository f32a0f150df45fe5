"""Carries out a plan as one transaction: journal first, then the steps, all taken back where one is refused."""

from guestwire.apply.lock import locked, tidy
from guestwire.apply.preflight import preflight
from guestwire.apply.store import Journal, Program, State, Store, Timer, projects
from guestwire.apply.transaction import Confirm, apply, attempt, settle

__all__ = [
    "Confirm",
    "Journal",
    "Program",
    "State",
    "Store",
    "Timer",
    "apply",
    "attempt",
    "locked",
    "preflight",
    "projects",
    "settle",
    "tidy",
]
