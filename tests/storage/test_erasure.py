"""What is erased is gone, around and about too, leaves a receipt, and does not come back by itself."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from uuid import UUID, uuid4

import pytest

from device_profiles.reading import Kind
from storage import (
    access_log,
    annotations,
    daily_summary,
    erasure,
    grants,
    outbox,
    patients,
    readings,
    receipts,
    shares,
    spaces,
)
from storage.annotations import AnnotationKind, ReadingKey
from storage.database import Database
from storage.devices import StoredDevice
from storage.errors import DatabaseRefused, UnknownPatient
from storage.grants import Grant
from storage.patients import Patient
from storage.readings import RefusedFrame
from storage.receipts import Reason, Receipt, Scope
from storage.shares import NewShare
from storage.shelf import Opening, Outcome
from tests.storage.samples import START, count, glucose, meal, new_device, segment, store

NOW = datetime(2026, 6, 1, tzinfo=UTC)
EVER = datetime(2100, 1, 1, tzinfo=UTC)

RECEIPTS = {"erasure", "erasure_at_space", "access_log"}
"""What stays of a person who was erased: what says that they were, and the chain without its contents."""


async def erase(database: Database, patient: Patient, scope: Scope, reason: Reason = Reason.ASKED) -> Receipt:
    async with database.writer() as conn:
        return await erasure.erase(conn, patient, scope, NOW, reason)


async def furnished(database: Database, patient: Patient) -> tuple[StoredDevice, StoredDevice]:
    """Two devices with readings, and something in every table that a home has."""
    first, second = await new_device(database, patient), await new_device(database, patient)
    batch = [glucose(number, context=meal(1)) for number in range(300)]
    await store(database, first, batch, refused=[RefusedFrame("2a18", b"\x01", "too_short")])
    await store(database, second, [glucose(number, "140") for number in range(50)])
    async with database.writer() as conn:
        key = ReadingKey(START, 0, first.device_id)
        await annotations.add(conn, patient.patient_id, key, AnnotationKind.NOTE, "me", "private words")
        share = await shares.create(conn, patient.patient_id, new_share(), NOW)
        await access_log.record(conn, share, [Opening(1, NOW, "a clinic", Outcome.OPENED, 1)])
        grant = Grant(
            patient.patient_id, uuid4(), "a doctor", None, "care", None, None, None, EVER, made_at=NOW
        )
        await grants.create(conn, grant)
        await grants.add_token(conn, uuid4().bytes, patient.patient_id, NOW, EVER, grant.grant_id)
    return first, second


def new_share() -> NewShare:
    return NewShare(uuid4(), uuid4().bytes, b"sealed", "http://shelf", "for the clinic", live=False)


async def fed(database: Database, patient: Patient, device: StoredDevice, readings: int) -> UUID:
    """A space that holds the first readings of a device."""
    space_id = uuid4()
    async with database.writer() as conn:
        await conn.execute(
            "INSERT INTO passerelle.space (patient_id, space_id, url, dialect, connected_at)"
            " VALUES (%s, %s, 'https://space', 'international', now())",
            (patient.patient_id, space_id),
        )
        await conn.execute(
            "INSERT INTO passerelle.delivery (recorded_at, patient_id, sequence, device_id, ordinal, state,"
            " version, space_id, remote_id, told_at)"
            " SELECT recorded_at, patient_id, sequence, device_id, ordinal, 1, 1, %s, sequence::text, now()"
            " FROM passerelle.reading WHERE patient_id = %s AND device_id = %s"
            " ORDER BY recorded_at LIMIT %s",
            (space_id, patient.patient_id, device.device_id, readings),
        )
    return space_id


async def left(database: Database, patient: Patient) -> dict[str, int]:
    """How many rows each table of the schema still has of a person."""
    found = {}
    async with database.owner() as conn:
        tables = await (
            await conn.execute(
                "SELECT c.relname FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid"
                " WHERE c.relnamespace = 'passerelle'::regnamespace AND c.relkind IN ('r', 'p')"
                " AND NOT c.relispartition AND a.attname = 'patient_id' AND NOT a.attisdropped"
            )
        ).fetchall()
    for (table,) in tables:
        if rows := await count(database, table, patient):
            found[table] = rows
    return found


async def test_everything_of_a_person_goes_and_a_receipt_stays(database: Database, patient: Patient) -> None:
    await furnished(database, patient)
    receipt = await erase(database, patient, Scope(everything=True))
    assert set(await left(database, patient)) <= RECEIPTS | {"share"}
    assert (receipt.readings, receipt.contexts, receipt.annotations) == (350, 300, 1)
    assert (receipt.shares, receipt.grants, receipt.tokens, receipt.refused_frames) == (1, 1, 1, 1)
    assert receipt.log_entries == 1
    async with database.writer() as conn:
        with pytest.raises(UnknownPatient):
            await patients.get(conn, patient.patient_id)
        assert await receipts.list_all(conn, patient.patient_id) == (receipt,)


async def test_a_share_waits_for_its_shelf_with_nothing_in_it(database: Database, patient: Patient) -> None:
    await furnished(database, patient)
    await erase(database, patient, Scope(everything=True))
    async with database.writer() as conn:
        (share,) = await shares.of_patient(conn, patient.patient_id)
        assert (share.label, share.sealed_secret, share.revoked_at) == (None, b"", NOW)
        assert share in await shares.waiting(conn, NOW)
        await erasure.forget_told_shares(conn, patient.patient_id)
        assert await shares.of_patient(conn, patient.patient_id) == (share,)
        await shares.revocation_told(conn, share, NOW)
        await erasure.forget_told_shares(conn, patient.patient_id)
        assert await shares.of_patient(conn, patient.patient_id) == ()


async def test_all_readings_go_and_the_person_stays(database: Database, patient: Patient) -> None:
    await furnished(database, patient)
    await erase(database, patient, Scope())
    assert set(await left(database, patient)) == RECEIPTS - {"erasure_at_space"} | {
        "patient",
        "device",
        "share",
        "erased_record",
    }


async def test_one_device_goes_and_the_other_stays(database: Database, patient: Patient) -> None:
    first, second = await furnished(database, patient)
    receipt = await erase(database, patient, Scope(device_id=first.device_id))
    async with database.writer() as conn:
        series = await readings.series(conn, patient.patient_id)
        days = await daily_summary.days(conn, patient.patient_id, date(2026, 1, 1), date(2026, 12, 31))
        (share,) = await shares.of_patient(conn, patient.patient_id)
    assert set(series.device_id.tolist()) == {second.device_id}
    assert sum(day.readings for day in days) == 50
    assert receipt.readings == 300
    assert (share.revoked_at, share.stale) == (None, True)


async def test_days_of_the_person_go_with_what_is_around_them(database: Database, patient: Patient) -> None:
    """300 readings, five minutes apart, from 9:00 in Paris: 180 on the first day."""
    first, second = await furnished(database, patient)
    scope = Scope(first=date(2026, 3, 2), last=date(2026, 3, 2))
    async with database.writer() as conn:
        expected = await erasure.count(conn, patient, scope)
    receipt = await erase(database, patient, scope)
    assert expected == {first.device_id: 180, second.device_id: 50}
    assert (receipt.readings, receipt.contexts, receipt.annotations) == (230, 180, 1)
    async with database.writer() as conn:
        days = await daily_summary.days(conn, patient.patient_id, date(2026, 1, 1), date(2026, 12, 31))
        in_force = await erasure.clock_segments.of_patient(conn, patient.patient_id)
    assert [(day.day, day.readings) for day in days] == [(date(2026, 3, 3), 120)]
    assert set(in_force) == {first.device_id}  # the second's covers nothing any more


async def test_one_kind_goes(database: Database, patient: Patient) -> None:
    device = await new_device(database, patient)
    await store(database, device, [glucose(1), glucose(2, kind=Kind.KETONE), glucose(3)])
    receipt = await erase(database, patient, Scope(kinds=(Kind.KETONE,)))
    assert receipt.readings == 1
    assert await count(database, "reading", patient) == 2


async def test_an_erased_record_that_the_device_still_holds_does_not_come_back(
    database: Database, patient: Patient
) -> None:
    device = await new_device(database, patient)
    batch = [glucose(number, context=meal(1)) for number in range(10)]
    await store(database, device, batch)
    async with database.writer() as conn:
        keys = [ReadingKey(batch[row].identity.recorded_at, row, device.device_id) for row in (3, 4)]
        receipt = await erasure.erase_records(conn, patient.patient_id, keys)
    assert receipt.readings == 2
    again = await store(database, device, [*batch, glucose(10)])
    assert (again.stored, again.known, again.erased, again.joined) == (1, 8, 2, 0)
    assert await count(database, "reading", patient) == 9
    assert await count(database, "reading_context", patient) == 8


async def test_a_device_read_again_from_the_start_brings_nothing_of_it_back(
    database: Database, patient: Patient
) -> None:
    device = await new_device(database, patient)
    batch = [glucose(number) for number in range(300)]
    await store(database, device, batch)
    await erase(database, patient, Scope())
    again = await store(database, device, batch)
    assert (again.stored, again.erased) == (0, 300)
    assert set(await left(database, patient)) == {"patient", "device", "erasure", "erased_record"}


async def test_it_comes_back_where_the_person_wants_it(database: Database, patient: Patient) -> None:
    device = await new_device(database, patient)
    batch = [glucose(number) for number in range(300)]
    await store(database, device, batch)
    await erase(database, patient, Scope())
    async with database.writer() as conn:
        await erasure.allow_again(conn, patient.patient_id, device.device_id)
    assert (await store(database, device, batch)).stored == 300


async def test_which_readings_were_erased_is_known_by_key(database: Database, patient: Patient) -> None:
    device = await new_device(database, patient)
    await store(database, device, [glucose(1), glucose(2)])
    gone = ReadingKey(START + timedelta(minutes=5), 1, device.device_id)
    never = ReadingKey(START, 99, device.device_id)
    async with database.writer() as conn:
        await erasure.erase_records(conn, patient.patient_id, [gone, never])
        assert await erasure.erased(conn, patient.patient_id, [gone, never]) == {gone}


async def test_a_receipt_tells_nothing_of_the_content(database: Database, patient: Patient) -> None:
    """The same readings of another person have another digest; without the salt nobody can try values."""
    digests = set()
    for _ in range(2):
        async with database.writer() as conn:
            other = await patients.add(conn, f"patient-{uuid4()}", "Europe/Paris")
        device = await new_device(database, other)
        await store(database, device, [glucose(1)])
        digests.add((await erase(database, other, Scope())).digest)
    assert len(digests) == 2


async def test_a_receipt_of_each_space_is_complete_when_it_confirms(
    database: Database, patient: Patient
) -> None:
    first, second = await furnished(database, patient)
    one, other = await fed(database, patient, first, 100), await fed(database, patient, second, 10)
    receipt = await erase(database, patient, Scope(device_id=first.device_id))
    assert [(space.space_id, space.readings, space.told_at) for space in receipt.spaces] == [(one, 100, None)]
    async with database.writer() as conn:
        assert await erasure.told(conn, patient.patient_id, one, NOW) == 0  # still marked
        entries = await outbox.entries_after(conn, patient.patient_id, 0)
        assert [entry.change for entry in entries if entry.device_id == first.device_id] == [
            outbox.Change.ERASED
        ]
        states = await (
            await conn.execute(
                "SELECT state, count(*) FROM passerelle.delivery WHERE patient_id = %s GROUP BY 1 ORDER BY 1",
                (patient.patient_id,),
            )
        ).fetchall()
    assert states == [(1, 10), (erasure.TO_ERASE, 100)]
    await deleted_there(database, one)
    async with database.writer() as conn:
        assert await erasure.told(conn, patient.patient_id, one, NOW) == 1
        (told,) = (await receipts.list_all(conn, patient.patient_id))[0].spaces
    assert told.told_at == NOW
    assert other != one


async def test_a_person_is_gone_for_good_with_the_last_space_that_confirms(
    database: Database, patient: Patient
) -> None:
    first, _ = await furnished(database, patient)
    space = await fed(database, patient, first, 10)
    await erase(database, patient, Scope(everything=True))
    async with database.writer() as conn:
        waiting = await patients.get(conn, patient.patient_id)
        assert waiting.name == ""
        assert waiting not in await patients.list_all(conn)
    await deleted_there(database, space)
    async with database.writer() as conn:
        assert await erasure.told(conn, patient.patient_id, space, NOW) == 1
    assert set(await left(database, patient)) <= RECEIPTS | {"share"}


@pytest.mark.parametrize("marked_before", [False, True])
async def test_a_person_whose_space_was_disconnected_is_gone_at_once_and_the_receipt_says_who_was_not_told(
    database: Database, patient: Patient, marked_before: bool
) -> None:
    first, second = await furnished(database, patient)
    space = await fed(database, patient, first, 10)
    if marked_before:
        await erase(database, patient, Scope(device_id=first.device_id))
    async with database.writer() as conn:
        await spaces.disconnect(conn, await spaces.get(conn, patient.patient_id, space), NOW)
        assert await erasure.spaces_holding(conn, patient.patient_id) == {"https://space": False}
    await erase(database, patient, Scope(everything=True))
    assert set(await left(database, patient)) <= RECEIPTS | {"share"}
    async with database.writer() as conn:
        kept = await receipts.list_all(conn, patient.patient_id)
        assert await erasure.told(conn, patient.patient_id, space, NOW) == 0
    (at,) = [at for receipt in kept for at in receipt.spaces]
    assert (at.space_id, at.readings, at.told_at, at.not_told, at.waits) == (space, 10, None, True, False)
    assert first != second


async def test_for_a_space_that_is_fed_beside_one_that_was_disconnected_is_still_waited(
    database: Database, patient: Patient
) -> None:
    first, _ = await furnished(database, patient)
    ended, other = await fed(database, patient, first, 10), await fed(database, patient, first, 20)
    async with database.writer() as conn:
        await spaces.disconnect(conn, await spaces.get(conn, patient.patient_id, ended), NOW)
        keys = [ReadingKey(START, 0, first.device_id)]
        receipt = await erasure.erase_records(conn, patient.patient_id, keys)
        assert {at.space_id: (at.readings, at.waits) for at in receipt.spaces} == {
            ended: (1, False),
            other: (1, True),
        }
    receipt = await erase(database, patient, Scope(everything=True))
    assert {at.space_id: (at.readings, at.waits) for at in receipt.spaces} == {
        ended: (9, False),
        other: (19, True),
    }
    assert await count(database, "delivery", patient) == 20
    await deleted_there(database, other)
    async with database.writer() as conn:
        assert await erasure.told(conn, patient.patient_id, other, NOW) == 2
    assert set(await left(database, patient)) <= RECEIPTS | {"share"}


async def deleted_there(database: Database, space: UUID) -> None:
    """What the outbox does when the space has answered."""
    async with database.owner() as conn:
        await conn.execute("DELETE FROM passerelle.delivery WHERE space_id = %s", (space,))


async def test_what_is_interrupted_did_not_happen(database: Database, patient: Patient) -> None:
    await furnished(database, patient)
    before = await left(database, patient)
    with pytest.raises(RuntimeError):
        await interrupted(database, patient)
    assert await left(database, patient) == before


async def interrupted(database: Database, patient: Patient) -> None:
    async with database.writer() as conn:
        await erasure.erase(conn, patient, Scope(everything=True), NOW)
        raise RuntimeError


@pytest.mark.sealed
@pytest.mark.parametrize(
    "table", ["reading", "annotation", "erasure", "access_log", "erased_record", "patient"]
)
async def test_the_writer_cannot_delete_without_a_receipt(
    database: Database, patient: Patient, table: str
) -> None:
    with pytest.raises(DatabaseRefused):
        await delete_from(database, table)


async def delete_from(database: Database, table: str) -> None:
    async with database.writer() as conn:
        await conn.execute(f"DELETE FROM passerelle.{table} WHERE patient_id = 0")


@pytest.mark.sealed
@pytest.mark.parametrize(
    "function", ["erase_rows('reading', 0, NULL, NULL, NULL, NULL)", "erase_last_trace(0)"]
)
async def test_the_parts_of_erasing_are_nobodys(database: Database, function: str) -> None:
    async def call() -> None:
        async with database.writer() as conn:
            await conn.execute(f"SELECT passerelle.{function}")

    with pytest.raises(DatabaseRefused):
        await call()


async def test_without_an_open_receipt_nothing_is_erased(database: Database, patient: Patient) -> None:
    await furnished(database, patient)

    async def call() -> None:
        async with database.writer() as conn:
            await conn.execute(
                "SELECT passerelle.erase_readings(%s, %s, NULL, NULL, NULL, NULL)",
                (patient.patient_id, uuid4()),
            )

    with pytest.raises(DatabaseRefused):
        await call()
    assert await count(database, "reading", patient) == 350


async def test_another_persons_readings_are_not_touched(database: Database, patient: Patient) -> None:
    async with database.writer() as conn:
        other = await patients.add(conn, f"patient-{uuid4()}", "Europe/Paris")
    device, theirs = (
        await new_device(database, patient, "shared"),
        await new_device(database, other, "shared"),
    )
    await store(database, device, [glucose(1)])
    await store(database, theirs, [glucose(1)])
    await erase(database, patient, Scope(everything=True))
    assert (await left(database, other)).keys() >= {"reading", "patient", "device"}


async def test_what_nobody_can_place_is_over_when_it_was_known_for_so_long(
    database: Database, patient: Patient
) -> None:
    device = await new_device(database, patient)
    batch = [glucose(1), glucose(2)]
    await store(database, device, batch, segment(batch, None))
    scope = Scope(last=date(2199, 1, 1))
    assert (await erase(database, patient, scope)).readings == 0
    assert (await erase(database, patient, scope, Reason.RETENTION)).readings == 2
