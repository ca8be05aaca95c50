"""What makes the program start with the session and stand in the menu, for each system.

Each module says which files and which commands that takes, and does nothing: `gateway.installing` does it.
"""
