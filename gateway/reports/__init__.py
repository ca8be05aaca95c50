"""Numbers and curves of readings: pure functions over numpy arrays."""
