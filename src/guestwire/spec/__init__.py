"""What a person writes: the file's models, loading it, and errors that name file, line and column.

Here is what all network types and guest kinds share. What is one type's or kind's own is in `networks/` and `guests/`,
which this package never imports: `load` takes them as registries. Nothing here asks the host; it reads the file only.
"""

from guestwire.spec.addresses import Address, Host, Subnet, bare, first_usable, unusable
from guestwire.spec.expect import Expectation
from guestwire.spec.file import File, Instance, Plug
from guestwire.spec.loading import load, loads
from guestwire.spec.models import Guest, Lab, Network, Nic, Part, Port
from guestwire.spec.registry import Registry

__all__ = [
    "Address",
    "Expectation",
    "File",
    "Guest",
    "Host",
    "Instance",
    "Lab",
    "Network",
    "Nic",
    "Part",
    "Plug",
    "Port",
    "Registry",
    "Subnet",
    "bare",
    "first_usable",
    "load",
    "loads",
    "unusable",
]
