"""Who reaches whom: measured with real packets sent from inside, in waves that the kernel's neighbour table can hold.

`check` measures stations (guests and places) and judges the file's expectations, `judge` measures no more than these
ask; `measure` asks any list of probes. A `Guard` sees to whom a host reaches before and after a change.
What a probe caused in the kernel is taken back after its wave. Nothing here makes or changes a network, or prints.
"""

from guestwire.reach.check import Progress, check, judge
from guestwire.reach.contact import Contact
from guestwire.reach.guard import Guard, Guarded, contacts
from guestwire.reach.probe import Answer, Probe
from guestwire.reach.report import Expected, Ledger, Pair, Report
from guestwire.reach.settle import forwarding, settle
from guestwire.reach.station import FAMILIES, Door, Family, Seat, Station, common_families, target_address
from guestwire.reach.waves import PATIENCE, Surroundings, measure

__all__ = [
    "FAMILIES",
    "PATIENCE",
    "Answer",
    "Contact",
    "Door",
    "Expected",
    "Family",
    "Guard",
    "Guarded",
    "Ledger",
    "Pair",
    "Probe",
    "Progress",
    "Report",
    "Seat",
    "Station",
    "Surroundings",
    "check",
    "common_families",
    "contacts",
    "forwarding",
    "judge",
    "measure",
    "settle",
    "target_address",
]
