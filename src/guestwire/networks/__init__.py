"""The network types: one module each, which says what the file can ask of it and composes kinds into desired picture.

To add a type, write its module here. `TYPES` finds it; nothing else has to know.
"""

from guestwire.spec.models import Network
from guestwire.spec.registry import Registry

__all__ = ["TYPES"]

TYPES: Registry[Network] = Registry(__name__, Network, "type")
"""The classes by the names that a file's `type` may say."""
