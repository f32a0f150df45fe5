"""The picture of what is: read from the kernel and from daemons, whoever made it."""

from guestwire.observe.again import Again
from guestwire.observe.observe import look_up, look_up_patiently, observe

__all__ = ["Again", "look_up", "look_up_patiently", "observe"]
