"""What a process counts of its work, as Prometheus reads it (`/metrics`).

A label has few values, all of them the source's own: a path's template, a method, a status, a role of the
database, a job's name. Nothing that came over the wire or out of the store is one, so that no patient,
tenant, token or id can stand in a label.
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

from device_profiles.errors import StorageError
from storage import measures
from storage.database import Database
from storage.errors import DatabaseBusy

MEDIA_TYPE: Final = CONTENT_TYPE_LATEST
METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
ASKED_SECONDS: Final = 3.0
"""A database that takes longer to answer counts as one that does not."""
_SECONDS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)

REGISTRY: Final = CollectorRegistry()
"""Ours alone: what a library registers with the global one is not told."""

ProcessCollector(registry=REGISTRY)

REQUESTS: Final = Counter(
    "passerelle_http_requests",
    "Requests answered, by the template of their path.",
    ("path", "method", "status"),
    registry=REGISTRY,
)
LATENCY: Final = Histogram(
    "passerelle_http_request_seconds",
    "Time from a request's head to the end of its answer.",
    ("path", "method"),
    buckets=_SECONDS,
    registry=REGISTRY,
)
UNDER_WAY: Final = Gauge("passerelle_http_requests_under_way", "Requests being answered.", registry=REGISTRY)
REFUSED: Final = Counter(
    "passerelle_refused",
    "Requests told to come back: too often, too many at once, a full pool, bodies beyond memory.",
    ("why",),
    registry=REGISTRY,
)
READINGS: Final = Counter(
    "passerelle_readings_ingested",
    "Readings of transactions that were answered: new ones, and those that were there already.",
    ("outcome",),
    registry=REGISTRY,
)
JOBS: Final = Counter(
    "passerelle_job_runs", "Runs of a job, by how they ended.", ("job", "outcome"), registry=REGISTRY
)
JOB_SECONDS: Final = Histogram(
    "passerelle_job_seconds",
    "Length of a job's run.",
    ("job",),
    buckets=(0.1, 1, 10, 60, 600),
    registry=REGISTRY,
)
SYNCS: Final = Counter(
    "passerelle_syncs", "Reads of devices, by how they ended.", ("outcome",), registry=REGISTRY
)
SYNC_SECONDS: Final = Histogram(
    "passerelle_sync_seconds",
    "Length of a read of a device.",
    buckets=(0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 120.0),
    registry=REGISTRY,
)
SYNCED: Final = Counter(
    "passerelle_readings_synced",
    "Readings that devices sent: new ones, and those that were there already.",
    ("outcome",),
    registry=REGISTRY,
)
_RADIO: Final = Gauge(
    "passerelle_radio_up",
    "Whether the radio of a gateway answers; 0 where it has no device.",
    registry=REGISTRY,
)
_POOL: Final = {
    name: Gauge(f"passerelle_pool_{name}", help_, ("role",), registry=REGISTRY)
    for name, help_ in (
        ("size", "Connections to the database at most."),
        ("in_use", "Connections in a transaction."),
        ("waiting", "Transactions that wait for a connection."),
        ("refused", "Transactions refused since the start: no connection became free."),
    )
}
_DATABASE: Final = Gauge("passerelle_database_up", "Whether the database answers.", registry=REGISTRY)
_EMBEDDED: Final = Gauge(
    "passerelle_embedded_server_up",
    "Whether the home's own server answers; absent: none is used.",
    registry=REGISTRY,
)
_WAITING: Final = Gauge(
    "passerelle_outbox_waiting", "Entries that a space is still to be told.", registry=REGISTRY
)
_OLDEST: Final = Gauge(
    "passerelle_outbox_oldest_seconds", "Age of the oldest of them; 0: none.", registry=REGISTRY
)


def request_answered(path: str, method: str, status: int, seconds: float) -> None:
    """Count a request. `path` is the template of its path; `method` one of METHODS, else `other`."""
    REQUESTS.labels(path, method, str(status)).inc()
    LATENCY.labels(path, method).observe(seconds)


def readings_ingested(new: int, known: int) -> None:
    """Count the readings of a transaction that is committed."""
    READINGS.labels("new").inc(new)
    READINGS.labels("known").inc(known)


def job_ran(job: str, outcome: str, seconds: float) -> None:
    """Count a run of a job; both words are the source's."""
    JOBS.labels(job, outcome).inc()
    JOB_SECONDS.labels(job).observe(seconds)


def synced(outcome: str, seconds: float) -> None:
    """Count a read of a device: `done` or `failed`."""
    SYNCS.labels(outcome).inc()
    SYNC_SECONDS.observe(seconds)


def readings_synced(new: int, known: int) -> None:
    """Count the readings of a read that are stored."""
    SYNCED.labels("new").inc(new)
    SYNCED.labels("known").inc(known)


def radio_is(up: bool) -> None:
    """Note whether the radio of this gateway answers."""
    _RADIO.set(up)


async def scraped(database: Database, *, shelf: bool = False) -> bytes:
    """All of it, as text. What is asked of a database that does not answer stays as it was.

    `shelf`: of a process that has the shelf's database only.
    """
    for use in database.pools():
        for name, gauge in _POOL.items():
            gauge.labels(use.role).set(getattr(use, name))
    up = await (_shelf_answers(database) if shelf else _space_answers(database))
    _DATABASE.set(up)
    if database.embedded:
        _EMBEDDED.set(up)
    return generate_latest(REGISTRY)


async def _space_answers(database: Database) -> bool:
    try:
        async with asyncio.timeout(ASKED_SECONDS), database.writer() as conn:
            waiting = await measures.outbox(conn, datetime.now(UTC))
    except DatabaseBusy:
        return True
    except (StorageError, TimeoutError):
        return False
    _WAITING.set(waiting.entries)
    _OLDEST.set(waiting.oldest_seconds)
    return True


async def _shelf_answers(database: Database) -> bool:
    try:
        async with asyncio.timeout(ASKED_SECONDS), database.shelf() as conn:
            await conn.execute("SELECT 1")
    except DatabaseBusy:
        return True
    except (StorageError, TimeoutError):
        return False
    return True
