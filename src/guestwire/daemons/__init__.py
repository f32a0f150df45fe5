"""What talks to a daemon: one file each, with the words that start it and how what it keeps is read."""

__all__: list[str] = []
