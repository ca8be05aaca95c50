"""Everything that touches the world: radio, HTTP, jobs, command line."""
