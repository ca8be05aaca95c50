"""The radio: bleak backends, pairing, connections. Only this package imports bleak or bumble."""
