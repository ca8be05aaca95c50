"""The commands of `passerelle`, a module for each group. Heavy imports stay inside the functions."""
