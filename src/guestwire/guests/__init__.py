"""The guest kinds: one module each, which says what the file can ask of it and composes kinds into desired picture.

To add a kind, write its module here. `KINDS` finds it; nothing else has to know.
"""

from guestwire.spec.models import Guest
from guestwire.spec.registry import Registry

__all__ = ["KINDS"]

KINDS: Registry[Guest] = Registry(__name__, Guest, "kind", default="namespace")
"""The classes by the names that a file's `kind` may say."""
