"""`make bench`: every measurement in turn, as one table; exit 1 where a bound is not met."""

from __future__ import annotations

import platform
import sys

from benchmarks import decode, history, ingest, outbox, render, search, startup, store, sync
from benchmarks.table import print_table


def main() -> int:
    print(f"Python {platform.python_version()}, {platform.machine()}, {platform.system()}\n")
    rows = [
        row
        for measured in (decode, sync, store, ingest, history, outbox, render, search, startup)
        for row in measured.run()
    ]
    print_table(rows)
    return 0 if all(row.met for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
