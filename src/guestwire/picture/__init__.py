"""The one data structure: a host's links, addresses, routes and the rest as plain frozen values, and their difference.

A picture comes from a file (desired) or from the kernel (observed); nothing here knows which, or how either is made.
"""

from guestwire.picture.desired import Desired
from guestwire.picture.picture import Picture
from guestwire.picture.secret import Secret
from guestwire.picture.value import Key, Value, fact, fixed, passing, setting

__all__ = ["Desired", "Key", "Picture", "Secret", "Value", "fact", "fixed", "passing", "setting"]
