"""`guestwire cable …`: cables between taps by themselves, which guestwire holds as a hypervisor would."""

__all__ = ["SUMMARY"]

SUMMARY = "cables between taps, which guestwire holds as a hypervisor would"
