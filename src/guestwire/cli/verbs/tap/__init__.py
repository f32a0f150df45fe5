"""`guestwire tap …`: taps and tuns by themselves, without a file."""

__all__ = ["SUMMARY"]

SUMMARY = "taps and tuns by themselves, without a file"
