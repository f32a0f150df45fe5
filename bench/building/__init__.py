"""What `make bench-build` is made of: one file per way of building guests, and the measuring around them."""
