"""What bench/watch.py runs in its private namespaces."""
