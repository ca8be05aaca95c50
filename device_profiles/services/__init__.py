"""One module for each Bluetooth SIG service: its characteristics as frozen dataclasses."""
