"""Who reaches whom: measured with real packets sent from inside, in waves that the kernel's neighbour table can hold.

`check` measures stations (guests and places) and judges the file's expectations; `measure` asks any list of probes.
What a probe caused in the kernel is taken back after its wave. Nothing here makes or changes a network, or prints.
"""

from guestwire.reach.check import Progress, check
from guestwire.reach.probe import Answer, Probe
from guestwire.reach.report import Expected, Ledger, Pair, Report
from guestwire.reach.station import FAMILIES, Door, Family, Seat, Station, common_families, target_address
from guestwire.reach.waves import PATIENCE, Surroundings, measure

__all__ = [
    "FAMILIES",
    "PATIENCE",
    "Answer",
    "Door",
    "Expected",
    "Family",
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
    "measure",
    "target_address",
]
