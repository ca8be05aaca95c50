"""The connection every function of this room takes: a psycopg one inside a transaction."""

from __future__ import annotations

from typing import Any, TypeAlias

from psycopg import AsyncConnection

Connection: TypeAlias = AsyncConnection[tuple[Any, ...]]
"""A connection in a transaction that whoever opened it ends: `async with database.writer() as conn`."""
