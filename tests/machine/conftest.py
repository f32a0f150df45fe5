"""What in here runs where: the tests in inside/ need another kernel than this one, and run in a host that has it."""

from __future__ import annotations

import os

collect_ignore = [] if os.environ.get("GUESTWIRE_MACHINE") else ["inside"]
