"""Carries out a plan as one transaction: journal first, then the steps, all taken back where one is refused."""

from guestwire.apply.lock import locked, tidy
from guestwire.apply.preflight import preflight
from guestwire.apply.store import Journal, State, Store, projects
from guestwire.apply.transaction import apply, settle

__all__ = ["Journal", "State", "Store", "apply", "locked", "preflight", "projects", "settle", "tidy"]
