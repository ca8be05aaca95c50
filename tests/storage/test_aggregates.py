"""Patients, devices, shares, the access log, claims: what each promises."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from device_profiles.reading import Device, DeviceIdentity, Kind
from storage import access_log, devices, job_claims, patients, shares
from storage.database import Database
from storage.errors import (
    PatientExists,
    UnknownDevice,
    UnknownPatient,
    UnknownShare,
    UnknownZone,
    UnusableName,
)
from storage.patients import Patient
from storage.shares import NewShare
from storage.shelf import Opening, Outcome
from tests.storage.samples import new_device

NOW = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)


async def test_a_name_is_found_however_it_is_written(database: Database) -> None:
    name = f"Zoë {uuid4()}"
    async with database.writer() as conn:
        made = await patients.add(conn, name, "Europe/Paris")
        for spelling in (name, name.upper(), f"  {name}  ", name.replace("ë", "e\u0308")):
            assert await patients.find(conn, spelling) == made
        with pytest.raises(PatientExists):
            await patients.add(conn, name.lower(), "Europe/Paris")


async def test_the_nearest_name_is_known_to_the_error_and_not_in_its_text(database: Database) -> None:
    name = f"Very unusual name {uuid4()}"
    async with database.writer() as conn:
        await patients.add(conn, name, "Europe/Paris")
        with pytest.raises(UnknownPatient) as unknown:
            await patients.find(conn, name[:-2] + "xx")
    assert unknown.value.nearest == name
    assert name not in str(unknown.value)


@pytest.mark.parametrize("name", ["", "   ", "a\0b", "a\x1bb", "x" * 201])
async def test_a_name_that_cannot_be_one_is_refused(database: Database, name: str) -> None:
    async with database.writer() as conn:
        with pytest.raises(UnusableName):
            await patients.find_or_add(conn, name, "Europe/Paris")


@pytest.mark.parametrize(
    "name", ["Robert'); DROP TABLE passerelle.patient;--", "%(name)s", "名前", "O'Neil \\ \""]
)
async def test_a_name_is_only_a_name(database: Database, name: str) -> None:
    async with database.writer() as conn:
        patient = await patients.find_or_add(conn, f"{name} {uuid4()}", "Europe/Paris")
        assert (await patients.get(conn, patient.patient_id)).name == patient.name
        assert patient in await patients.list_all(conn)


async def test_a_zone_that_does_not_exist_is_refused(database: Database) -> None:
    async with database.writer() as conn:
        for zone in ("Europe/Atlantis", "../etc/passwd", ""):
            with pytest.raises(UnknownZone):
                await patients.add(conn, f"patient {uuid4()}", zone)
        assert (await patients.find_or_add(conn, f"patient {uuid4()}", "Asia/Tokyo")).zone.key == "Asia/Tokyo"


async def test_a_patient_asked_for_by_many_at_once_is_made_once(database: Database) -> None:
    name = f"patient {uuid4()}"

    async def ask() -> Patient:
        async with database.writer() as conn:
            return await patients.find_or_add(conn, name, "Europe/Paris")

    assert len({patient.uuid for patient in await asyncio.gather(*(ask() for _ in range(6)))}) == 1


async def test_a_device_registered_again_is_the_same_and_says_more(
    database: Database, patient: Patient
) -> None:
    identity = DeviceIdentity("serial", f"a/b/{uuid4()}")
    async with database.writer() as conn:
        first = await devices.register(conn, patient.patient_id, Device(identity, manufacturer="a"))
        again = await devices.register(conn, patient.patient_id, Device(identity, model="b", firmware="2"))
        other = await devices.register(conn, patient.patient_id, Device(DeviceIdentity("address", "c")))
        assert await devices.of_patient(conn, patient.patient_id) == (again, other)
    assert first.device_id == again.device_id
    assert again.device == Device(identity, manufacturer="a", model="b", firmware="2")
    assert other.device_id == first.device_id + 1


async def test_devices_registered_at_once_get_numbers_of_their_own(
    database: Database, patient: Patient
) -> None:
    found = await asyncio.gather(*(new_device(database, patient) for _ in range(5)))
    assert sorted(device.device_id for device in found) == [1, 2, 3, 4, 5]


async def test_a_shared_meter_is_a_row_for_each_person(database: Database, patient: Patient) -> None:
    identity = DeviceIdentity("serial", f"a/b/{uuid4()}")
    async with database.writer() as conn:
        second = await patients.add(conn, f"patient {uuid4()}", "Europe/Paris")
        rows = [await devices.register(conn, each.patient_id, Device(identity)) for each in (patient, second)]
        assert await devices.by_identity(conn, identity) == tuple(rows)
        await devices.forget(conn, patient.patient_id, rows[0].device_id)
        assert await devices.by_identity(conn, identity) == (rows[1],)
        assert await devices.of_patient(conn, patient.patient_id) == ()
        assert len(await devices.of_patient(conn, patient.patient_id, forgotten=True)) == 1
        assert await devices.register(conn, patient.patient_id, Device(identity)) == rows[0]


async def test_what_is_learned_of_a_device_on_the_radio_is_kept(database: Database, patient: Patient) -> None:
    device = await new_device(database, patient)
    async with database.writer() as conn:
        await devices.heard(conn, device, "F0:F1:F2:F3:F4:F5", "meter+123")
        await devices.battery(conn, device, 80)
        found = await devices.get(conn, patient.patient_id, device.device_id)
        for attempt in (
            devices.get(conn, patient.patient_id, 99),
            devices.forget(conn, patient.patient_id, 99),
        ):
            with pytest.raises(UnknownDevice):
                await attempt
    assert (found.radio_address, found.radio_name, found.battery_percent) == (
        "F0:F1:F2:F3:F4:F5",
        "meter+123",
        80,
    )


def new_share(**more: object) -> NewShare:
    return NewShare(uuid4(), uuid4().bytes, b"wrapped", "http://127.0.0.1:1", **more)  # type: ignore[arg-type]


async def test_a_share_waits_until_the_shelf_has_it_and_again_when_there_is_more(
    database: Database, patient: Patient
) -> None:
    async with database.writer() as conn:
        share = await shares.create(
            conn, patient.patient_id, new_share(kinds=(Kind.BLOOD_GLUCOSE,), label="x"), NOW
        )
        assert share.kinds == (Kind.BLOOD_GLUCOSE,)
        assert share in await shares.waiting(conn, NOW)
        share = await shares.uploaded(conn, share, NOW, NOW)
        assert share not in await shares.waiting(conn, NOW)
        await shares.mark_stale(conn, patient.patient_id)
        assert share.share_id in {each.share_id for each in await shares.waiting(conn, NOW)}
        assert await shares.of_patient(conn, patient.patient_id) == (await shares.find(conn, share.share_id),)


async def test_a_share_that_ended_is_told_once(database: Database, patient: Patient) -> None:
    async with database.writer() as conn:
        share = await shares.create(
            conn, patient.patient_id, new_share(expires_at=NOW + timedelta(days=1)), NOW
        )
        assert share.active(NOW)
        assert not share.active(NOW + timedelta(days=1))
        share = await shares.uploaded(conn, share, None, NOW)
        share = await shares.revoke(conn, share, NOW)
        assert share in await shares.waiting(conn, NOW)
        share = await shares.revocation_told(conn, share, NOW)
        assert share.share_id not in {each.share_id for each in await shares.waiting(conn, NOW)}
        unconfirmed = await shares.create(conn, patient.patient_id, new_share(), NOW)
        await shares.revoke(conn, unconfirmed, NOW)  # the shelf may have it: its answer may have been lost
        assert unconfirmed.share_id in {each.share_id for each in await shares.waiting(conn, NOW)}
        with pytest.raises(UnknownShare):
            await shares.find(conn, uuid4())


async def test_openings_are_taken_over_once_and_chained(database: Database, patient: Patient) -> None:
    openings = [
        Opening(number, NOW + timedelta(minutes=number), "a clinic", Outcome.OPENED, 1)
        for number in (1, 2, 3)
    ]
    async with database.writer() as conn:
        share = await shares.create(conn, patient.patient_id, new_share(), NOW)
        assert await access_log.record(conn, share, openings[:2]) == 2
        assert await access_log.record(conn, share, openings) == 1
        share = await shares.find(conn, share.share_id)
        entries = await access_log.of_share(conn, share)
        assert await access_log.of_patient(conn, patient.patient_id, before=3) == entries[1:]
        assert (await access_log.verify(conn, patient.patient_id)).whole
    assert share.openings_cursor == 3
    assert [(entry.entry_id, entry.who, entry.files) for entry in entries] == [
        (3, "a clinic", 1),
        (2, "a clinic", 1),
        (1, "a clinic", 1),
    ]


async def test_a_job_is_held_by_one_until_it_is_given_back_or_its_time_is_over(database: Database) -> None:
    job, hour = f"job {uuid4()}", timedelta(hours=1)
    async with database.writer() as conn:
        assert await job_claims.claim(conn, job, "a", NOW, hour)
        assert not await job_claims.claim(conn, job, "b", NOW, hour)
        assert await job_claims.claim(conn, job, "b", NOW + hour, hour)
        await job_claims.release(conn, job, "a", NOW + hour)
        assert not await job_claims.claim(conn, job, "a", NOW + hour, hour)
        await job_claims.release(conn, job, "b", NOW + hour)
        assert await job_claims.claim(conn, job, "a", NOW + hour, hour)
