"""From a file to the desired picture: what each network and guest of it adds, on a site that knows the host.

The host is given as it is without us: read from the kernel, or, in a lab, made up. Nothing here talks to a kernel.
"""

from guestwire.compile.compile import compile_file
from guestwire.compile.gateway import Gateway
from guestwire.compile.lan import Lan
from guestwire.compile.parts import BuiltGuest, BuiltNetwork
from guestwire.compile.site import Seat, Site
from guestwire.compile.vlans import Segmented

__all__ = ["BuiltGuest", "BuiltNetwork", "Gateway", "Lan", "Seat", "Segmented", "Site", "compile_file"]
