"""One module for each known product: its profile, and only what differs from the standard."""
