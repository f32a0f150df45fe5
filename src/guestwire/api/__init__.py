"""All that the command line does, from Python: each verb is a function here, and `cli/` only reads words and prints.

Functions raise `guestwire.errors`; what holds after one is said there.
"""

from guestwire.api.change import Outcome, down, plan, rollback, up

__all__ = ["Outcome", "down", "plan", "rollback", "up"]
