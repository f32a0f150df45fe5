"""What guestwire knows of daemons: the words that start them, what they keep, and which of them sets up which NIC."""

__all__: list[str] = []
