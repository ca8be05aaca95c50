"""Where `passerelle` begins: what asks for nothing is answered before anything is loaded."""

from __future__ import annotations

import sys


def main() -> None:
    """Answer `--version` at once; run the command line for all else."""
    if sys.argv[1:] == ["--version"]:
        from importlib.metadata import version  # noqa: PLC0415 (nor is this loaded for a command)

        print(f"passerelle {version('passerelle')}")  # noqa: T201
        return
    from gateway.cli import main as run  # noqa: PLC0415 (the commands are what takes time to load)

    run()
