"""Make-believe: a host with all that is around it for `--lab` (lab.py), and a copy of a real one (rehearsal.py)."""

from guestwire.lab.lab import Lab

__all__ = ["Lab"]
