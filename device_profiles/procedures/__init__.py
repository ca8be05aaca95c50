"""Control-point procedures as state machines without I/O that serve both roles."""
