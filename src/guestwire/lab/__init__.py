"""The make-believe outside of `--lab`: a host, and a switch, neighbours, a gateway and an internet around it."""

from guestwire.lab.lab import Lab

__all__ = ["Lab"]
