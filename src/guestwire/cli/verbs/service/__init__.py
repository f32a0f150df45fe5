"""`guestwire service …`: a project that is built and watched from boot on, as a systemd service."""

__all__ = ["SUMMARY"]

SUMMARY = "a project built and watched from boot on, as a systemd service"
