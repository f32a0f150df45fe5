"""Keeps a project as it is wanted: hears of changes, finds out what of the picture they touch, and repairs that.

Both pictures are kept, and a repair is the plan between two small parts of them, carried out like any other. Nothing
here knows how a change is planned or made, or what a file says.
"""

from guestwire.watch.host import Host, Wanted
from guestwire.watch.repair import Repair
from guestwire.watch.watcher import Watcher
from guestwire.watch.web import Web

__all__ = ["Host", "Repair", "Wanted", "Watcher", "Web"]
