"""How every measurement of `make bench` is shown."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

COLUMNS = ("name", "measured", "bound", "ok")


class Row(NamedTuple):
    """One measurement against what was promised."""

    name: str
    measured: str
    bound: str
    met: bool


def print_table(rows: Sequence[Row]) -> None:
    """Print the rows as a Markdown table that can be pasted."""
    cells = [COLUMNS, *((row.name, row.measured, row.bound, "yes" if row.met else "NO") for row in rows)]
    widths = [max(len(line[column]) for line in cells) for column in range(len(COLUMNS))]
    lines = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) + " |"
        for line in cells
    ]
    lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    print("\n".join(lines))
