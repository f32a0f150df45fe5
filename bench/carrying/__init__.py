"""What bench/frames.py measures: frames on their way through cables, and through what the kernel has instead."""
