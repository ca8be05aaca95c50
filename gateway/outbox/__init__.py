"""Feeding spaces: what was stored here is told there, once, and so is each later change."""
