"""guestwire plugs guests into networks on Linux: one file says who plugs into what."""

__version__ = "0.1.0.dev0"

__all__ = ["__version__"]
