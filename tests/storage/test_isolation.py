"""The role that serves HTTP sees what its token opens and nothing else, whatever it sets and calls."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from hashlib import sha256
from uuid import uuid4

import psycopg
import pytest

from device_profiles.reading import Kind
from storage import access_log, annotations, daily_summary, grants, readings
from storage.annotations import AnnotationKind, ReadingKey
from storage.database import Database
from storage.errors import DatabaseRefused, UnknownGrant, UnknownPatient
from storage.grants import Grant
from storage.patients import Patient
from storage.shelf import Outcome
from tests import servers
from tests.storage.samples import START, glucose, meal, new_device, segment, store

FOREVER = datetime(2100, 1, 1, tzinfo=UTC)

ARGUMENTS = {
    "token": "%(token)s",
    "first": "'-infinity'",
    "last": "'infinity'",
    "until": "'infinity'",
    "before": "9999",
    "count": "9999",
    "backwards": "true",
    "outcome": "1",
    "what": "'a look'",
}
"""What asks for everything, by the name of a parameter; every other one is null, which asks for no less."""


async def every_call(database: Database) -> dict[str, str]:
    """A call of each function that is the role's, by name: a new one is tried without being named here."""
    async with database.owner() as conn:
        query = """SELECT proname, proargnames[1:pronargs], proargtypes::regtype[]::text[] FROM pg_proc
            WHERE pronamespace = 'passerelle'::regnamespace AND proname LIKE '%%\\_by\\_token'"""
        functions = await (await conn.execute(query, {})).fetchall()
    return {
        name: ", ".join(
            f"{ARGUMENTS.get(argument, 'NULL')}::{of_type}"
            for argument, of_type in zip(names, types, strict=True)
        )
        for name, names, types in functions
    }


def secret() -> bytes:
    return sha256(uuid4().bytes).digest()


async def furnished(database: Database, patient: Patient) -> bytes:
    """A patient with something in every table that is read by token; the token of their session."""
    device = await new_device(database, patient)
    batch = [glucose(number, context=meal(1)) for number in range(10)]
    batch += [glucose(20 + number, kind=Kind.KETONE) for number in range(5)]
    await store(database, device, batch)
    token = secret()
    async with database.writer() as conn:
        key = ReadingKey(START, 0, device.device_id)
        await annotations.add(
            conn, patient.patient_id, key, AnnotationKind.NOTE, "the patient", "private words"
        )
        await grants.add_token(conn, token, patient.patient_id, START, FOREVER)
    return token


async def granted(database: Database, patient: Patient, token: bytes, **more: object) -> Grant:
    terms = {"kinds": None, "period_start": None, "period_end": None, "ends_at": FOREVER, **more}
    grant = Grant(patient.patient_id, uuid4(), "a clinic", "hospital", "care", made_at=START, **terms)  # type: ignore[arg-type]
    async with database.writer() as conn:
        await grants.create(conn, grant)
        await grants.add_token(conn, token, patient.patient_id, START, FOREVER, grant.grant_id)
    return grant


async def seen(database: Database, token: bytes) -> dict[str, int]:
    """How many rows each function answers."""
    found = {}
    calls = await every_call(database)
    async with database.reader() as conn:
        for name, arguments in calls.items():
            query = f"SELECT * FROM passerelle.{name}({arguments})"
            rows = await (await conn.execute(query, {"token": token})).fetchall()
            found[name] = len([row for row in rows if any(value is not None for value in row)])
    return found


async def test_a_session_sees_its_own_person(database: Database, patient: Patient) -> None:
    token = await furnished(database, patient)
    async with database.reader() as conn:
        series = await readings.series_by_token(conn, token)
        bounded = await readings.series_by_token(conn, token, kinds=[Kind.KETONE], start=START, end=FOREVER)
    assert len(series) == 15
    assert len(bounded) == 5
    assert series.notes == {0: "private words"}
    assert len(series.contexts) == 10
    assert series.patient_uuid == patient.uuid


async def test_no_token_of_another_no_setting_and_no_call_gives_a_row(
    database: Database, patient: Patient
) -> None:
    mine = await furnished(database, patient)
    assert all(
        rows
        for name, rows in (await seen(database, mine)).items()
        if name in {"patient_by_token", "readings_by_token"}
    )
    unknown = secret()
    calls = await every_call(database)
    async with database.reader() as conn:
        for setting in ("passerelle.patient", "passerelle.reader", "passerelle.token", "app.patient_id"):
            await conn.execute("SELECT set_config(%s, %s, true)", (setting, str(patient.patient_id)))
        await conn.execute("SELECT set_config('search_path', 'passerelle, public', true)")
        for name, arguments in calls.items():
            query = f"SELECT * FROM passerelle.{name}({arguments})"
            for token in (unknown, b"", mine[:-1], str(patient.patient_id).encode(), None):
                rows = await (await conn.execute(query, {"token": token})).fetchall()
                assert all(value is None for row in rows for value in row), name
        with pytest.raises(UnknownPatient):
            await readings.series_by_token(conn, unknown)


@pytest.mark.roles
async def test_every_function_that_the_role_may_call_is_tried_here(database: Database) -> None:
    async with database.reader() as conn:
        query = """SELECT proname, has_function_privilege(oid, 'EXECUTE') FROM pg_proc
            WHERE pronamespace = 'passerelle'::regnamespace"""
        rows = await (await conn.execute(query)).fetchall()
    allowed = {name for name, may in rows if may}
    assert allowed == set(await every_call(database))
    assert {"readings_by_token", "page_by_token", "record_access_by_token"} <= allowed


@pytest.mark.roles
async def test_the_role_has_no_right_on_any_table_and_owns_nothing(database: Database) -> None:
    async with database.reader() as conn:
        query = """SELECT relname FROM pg_class
            WHERE relnamespace = 'passerelle'::regnamespace AND relkind IN ('r', 'p', 'v', 'S')
              AND (relowner = current_user::regrole
                   OR (relkind <> 'S' AND has_table_privilege(oid, 'SELECT, INSERT, UPDATE, DELETE')))"""
        assert await (await conn.execute(query)).fetchall() == []
    for attempt in ("SELECT * FROM passerelle.reading", "SET ROLE owner", "CREATE TABLE passerelle.mine ()",
                    "SELECT * FROM passerelle.bearer('x')", "CREATE TABLE public.mine ()",
                    "CREATE TEMP TABLE mine ()", "CREATE SCHEMA mine", "SELECT lo_create(0)",
                    "SELECT lo_from_bytea(0, 'x')", "SET SESSION AUTHORIZATION writer"):  # fmt: skip
        with pytest.raises(DatabaseRefused):
            async with database.reader() as conn:
                await conn.execute(attempt)


@pytest.mark.roles
async def test_the_writer_can_neither_change_nor_delete_a_reading(database: Database) -> None:
    attempts = ["SET ROLE owner", "DROP TABLE passerelle.reading", "ALTER TABLE passerelle.reading ADD x int",
                "UPDATE passerelle.migration SET checksum = ''"]  # fmt: skip
    if servers.engine_named() != "citus":  # docs/decisions/0030
        attempts += ["UPDATE passerelle.reading SET mantissa = 1", "DELETE FROM passerelle.reading",
                     "DELETE FROM passerelle.access_log"]  # fmt: skip
    for attempt in attempts:
        with pytest.raises(DatabaseRefused):
            async with database.writer() as conn:
                await conn.execute(attempt)


async def test_a_grant_opens_its_kinds_and_its_period_only(database: Database, patient: Patient) -> None:
    await furnished(database, patient)
    everything, ketones, hour = secret(), secret(), secret()
    await granted(database, patient, everything)
    await granted(database, patient, ketones, kinds=(Kind.KETONE,))
    await granted(
        database,
        patient,
        hour,
        period_start=START + timedelta(minutes=10),
        period_end=START + timedelta(minutes=30),
    )
    async with database.reader() as conn:
        assert len(await readings.series_by_token(conn, everything)) == 15
        of_kind = await readings.series_by_token(conn, ketones, kinds=[Kind.KETONE, Kind.BLOOD_GLUCOSE])
        of_hour = await readings.series_by_token(conn, hour)
        whole = await daily_summary.days_by_token(conn, everything, date(2026, 1, 1), date(2026, 12, 31))
        of_days = await daily_summary.days_by_token(conn, hour, date(2026, 1, 1), date(2026, 12, 31))
    assert set(of_kind.kind.tolist()) == {Kind.KETONE}
    assert of_kind.contexts == {}
    assert of_hour.sequence.tolist() == [2, 3, 4, 5]
    assert len(of_hour.contexts) == 4
    assert sum(day.readings for day in whole) == 15
    assert of_days == ()


async def test_what_a_person_wrote_is_for_their_own_session(database: Database, patient: Patient) -> None:
    await furnished(database, patient)
    token = secret()
    await granted(database, patient, token)
    async with database.reader() as conn:
        assert (await readings.series_by_token(conn, token)).notes == {}
        assert await access_log.by_token(conn, token) == ()


async def test_a_grant_follows_the_clock_s_correction(database: Database, patient: Patient) -> None:
    device = await new_device(database, patient)
    batch = [glucose(number) for number in range(4)]
    await store(database, device, batch, segment(batch, 86_400))
    token = secret()
    await granted(database, patient, token, period_end=START + timedelta(hours=1))
    async with database.reader() as conn:
        assert len(await readings.series_by_token(conn, token)) == 0
    await store(database, device, batch, segment(batch, 0))
    async with database.reader() as conn:
        assert len(await readings.series_by_token(conn, token)) == 4


async def test_a_token_that_ended_or_was_revoked_opens_nothing(database: Database, patient: Patient) -> None:
    session = await furnished(database, patient)
    revoked, over, of_grant, over_grant = (secret() for _ in range(4))
    grant = await granted(database, patient, of_grant)
    await granted(database, patient, over_grant, ends_at=START)
    now = datetime.now(UTC)
    async with database.writer() as conn:
        await grants.add_token(conn, revoked, patient.patient_id, START, FOREVER)
        await grants.revoke_token(conn, revoked, now)
        await grants.add_token(conn, over, patient.patient_id, START, START)
        await grants.revoke(conn, patient.patient_id, grant.grant_id, now)
        with pytest.raises(UnknownGrant):
            await grants.revoke(conn, patient.patient_id, uuid4(), now)
        kept = await grants.of_patient(conn, patient.patient_id)
    for token in (revoked, over, of_grant, over_grant):
        assert set((await seen(database, token)).values()) == {0}
    assert (await seen(database, session))["readings_by_token"] == 1
    assert {each.grant_id: each.revoked_at is not None for each in kept}[grant.grant_id]


async def test_who_looks_by_a_grant_is_written_down(database: Database, patient: Patient) -> None:
    session = await furnished(database, patient)
    token = secret()
    grant = await granted(database, patient, token)
    async with database.reader() as conn:
        assert await access_log.record_by_token(conn, token, Outcome.OPENED, "14 days of glucose")
        assert not await access_log.record_by_token(conn, session, Outcome.OPENED, "their own")
        assert not await access_log.record_by_token(conn, secret(), Outcome.OPENED, "nobody")
    async with database.reader() as conn:
        (entry,) = await access_log.by_token(conn, session)
    assert (entry.grant_id, entry.who, entry.organisation, entry.purpose) == (
        grant.grant_id,
        "a clinic",
        "hospital",
        "care",
    )


@pytest.mark.embedded
async def test_the_shelf_s_role_cannot_unmake_what_happened(database: Database) -> None:
    for attempt in ("DELETE FROM shelf.opening", "UPDATE shelf.opening SET recipient = ''",
                    "DELETE FROM shelf.link", "DELETE FROM shelf.uploader",
                    "UPDATE shelf.file SET ciphertext = ''", "UPDATE shelf.location SET number = 1",
                    "TRUNCATE shelf.file", "SET ROLE owner"):  # fmt: skip
        with pytest.raises(DatabaseRefused):
            async with database.shelf() as conn:
                await conn.execute(attempt)


@pytest.mark.embedded
async def test_the_shelf_s_role_does_not_reach_the_main_database(database: Database) -> None:
    async with database.shelf() as conn:
        assert conn.info.dbname == "shelf"
        with pytest.raises(psycopg.errors.UndefinedTable):
            await conn.execute("SELECT * FROM passerelle.reading")
