"""Pages: what people see in a browser. Nothing in them comes from a third party."""
