"""The make-believe outside of `--lab`: a host, and a switch, neighbours, a gateway and an internet around it."""

from guestwire.lab.lab import PLACES, Lab, is_lab_namespace

__all__ = ["PLACES", "Lab", "is_lab_namespace"]
