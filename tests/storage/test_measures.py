"""Numbers about the whole house: what waits to be told to spaces, and since when."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import numpy as np

from device_profiles.reading import Device, DeviceIdentity
from storage import devices, measures, outbox
from storage.connection import Connection
from storage.database import Database
from storage.outbox import Change
from storage.patients import Patient

CONNECT = """
INSERT INTO passerelle.space
    (patient_id, space_id, url, dialect, connected_at, disconnected_at, told_entry_id)
VALUES (%s, %s, 'https://space.example', 'international', now(), %s, %s)
"""


async def test_entries_wait_for_each_space_that_is_connected_until_it_was_told(
    database: Database, patient: Patient
) -> None:
    now = datetime.now(UTC)

    async def waiting(conn: Connection) -> int:
        return (await measures.outbox(conn, now)).entries

    async with database.writer() as conn:
        before = await waiting(conn)
        device = await devices.register(
            conn, patient.patient_id, Device(DeviceIdentity("serial", str(uuid4())))
        )
        for _ in range(2):
            await outbox.add(conn, device, Change.CREATED, np.array([0], np.int64))
        first, last = await outbox.entries_after(conn, patient.patient_id, 0)
        assert await waiting(conn) == before
        await conn.execute(CONNECT, (patient.patient_id, uuid4(), None, first.entry_id))
        assert await waiting(conn) == before + 1
        await conn.execute(CONNECT, (patient.patient_id, uuid4(), None, 0))
        assert await waiting(conn) == before + 3
        await conn.execute(CONNECT, (patient.patient_id, uuid4(), None, last.entry_id))
        await conn.execute(CONNECT, (patient.patient_id, uuid4(), now, 0))
        assert await waiting(conn) == before + 3
        later = await measures.outbox(conn, datetime.now(UTC) + timedelta(hours=1))
        assert later.oldest_seconds >= 3600
        await conn.rollback()
