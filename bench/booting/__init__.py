"""What bench/guests.py measures: virtual machines that start."""
