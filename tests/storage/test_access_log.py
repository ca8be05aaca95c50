"""Whatever is done to a log of who looked, it shows; what was erased with a receipt does not."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from storage import access_log, erasure, shares
from storage.access_log import Head, Verdict, Way
from storage.database import Database
from storage.errors import DatabaseRefused, MalformedHead
from storage.patients import Patient
from storage.receipts import Scope
from storage.shares import NewShare
from storage.shelf import Opening, Outcome

NOW = datetime(2026, 3, 2, 8, tzinfo=UTC)

LOG = "passerelle.access_log"
SWAP = f"""
    UPDATE {LOG} SET entry_id = -2 WHERE patient_id = %(who)s AND entry_id = 2;
    UPDATE {LOG} SET entry_id = 2 WHERE patient_id = %(who)s AND entry_id = 3;
    UPDATE {LOG} SET entry_id = 3 WHERE patient_id = %(who)s AND entry_id = -2"""
EMPTY = (
    "at = 'epoch', way = 0, outcome = 0, share_id = NULL, opening = NULL, who = NULL, files = NULL, "
    "salt = NULL"
)
FORGED = f"""
    WITH last AS (SELECT chain FROM {LOG} WHERE patient_id = %(who)s AND entry_id = 4)
    INSERT INTO {LOG} (patient_id, entry_id, at, way, outcome, who, salt, digest, chain)
    SELECT %(who)s, 5, now(), 1, 1, 'nobody', '\\x00', '\\x01', sha256(chain || '\\x01') FROM last"""

TAMPERINGS = [
    (f"UPDATE {LOG} SET {field} WHERE patient_id = %(who)s AND entry_id = 2", 2, "changed")
    for field in (
        "who = 'nobody'",
        "who = NULL",
        "at = '2000-01-01 00:00+00'",
        "outcome = 2",
        "way = 2",
        "opening = 99",
        "files = 0",
        "what = 'all'",
        "purpose = ''",
        "organisation = ''",
        "share_id = '5bc0cfc7-5ca7-4a18-a4e4-2f6c7f6f0c3f'",
        "grant_id = '5bc0cfc7-5ca7-4a18-a4e4-2f6c7f6f0c3f'",
        "salt = salt || '\\x00'",
    )
]
TAMPERINGS += [
    (
        f"UPDATE {LOG} SET digest = sha256(digest) WHERE patient_id = %(who)s AND entry_id = 2",
        2,
        "does not follow",
    ),
    (
        f"UPDATE {LOG} SET chain = sha256(chain) WHERE patient_id = %(who)s AND entry_id = 2",
        2,
        "does not follow",
    ),
    (f"DELETE FROM {LOG} WHERE patient_id = %(who)s AND entry_id = 2", 2, "missing"),
    (f"DELETE FROM {LOG} WHERE patient_id = %(who)s AND entry_id = 1", 1, "missing"),
    (SWAP, 2, "does not follow"),
    (FORGED, 5, "changed"),
    (f"UPDATE {LOG} SET salt = NULL WHERE patient_id = %(who)s AND entry_id = 2", 2, "emptied"),
    (f"UPDATE {LOG} SET {EMPTY} WHERE patient_id = %(who)s AND entry_id = 2", 2, "emptied"),
]


async def opened(database: Database, patient: Patient, count: int) -> None:
    """So many entries more."""
    async with database.writer() as conn:
        new = NewShare(uuid4(), uuid4().bytes, b"sealed", "http://shelf")
        share = await shares.create(conn, patient.patient_id, new, NOW)
        openings = [
            Opening(number, NOW + timedelta(minutes=number), "a clinic", Outcome.OPENED, 1)
            for number in range(1, count + 1)
        ]
        await access_log.record(conn, share, openings)


async def verdict(database: Database, patient: Patient, *known: Head) -> Verdict:
    async with database.writer() as conn:
        return await access_log.verify(conn, patient.patient_id, known)


async def tamper(database: Database, patient: Patient, statements: str) -> None:
    async with database.owner() as conn:
        for statement in statements.split(";"):
            await conn.execute(statement, {"who": patient.patient_id})


async def erased(database: Database, patient: Patient) -> None:
    async with database.writer() as conn:
        await erasure.erase(conn, patient, Scope(), NOW)


async def test_a_log_that_nobody_touched_is_whole(database: Database, patient: Patient) -> None:
    assert (await verdict(database, patient)).head == Head(0, b"")
    await opened(database, patient, 4)
    found = await verdict(database, patient)
    assert (found.whole, found.head.entries, found.erased) == (True, 4, 0)


@pytest.mark.parametrize(("tampering", "entry", "why"), TAMPERINGS)
async def test_whatever_is_done_to_an_entry_shows(
    database: Database, patient: Patient, tampering: str, entry: int, why: str
) -> None:
    await opened(database, patient, 4)
    await tamper(database, patient, tampering)
    found = await verdict(database, patient)
    assert (found.wrong_at, found.why) == (entry, why)


async def test_what_is_missing_at_the_end_shows_against_a_head_of_before(
    database: Database, patient: Patient
) -> None:
    await opened(database, patient, 4)
    head = (await verdict(database, patient)).head
    await tamper(database, patient, f"DELETE FROM {LOG} WHERE patient_id = %(who)s AND entry_id > 2")
    assert (await verdict(database, patient)).whole  # the chain alone cannot know
    found = await verdict(database, patient, head)
    assert (found.wrong_at, found.why) == (3, "missing")


async def test_a_log_that_was_written_anew_shows_against_a_head_of_before(
    database: Database, patient: Patient
) -> None:
    await opened(database, patient, 4)
    head = (await verdict(database, patient)).head
    await tamper(database, patient, f"DELETE FROM {LOG} WHERE patient_id = %(who)s")
    await opened(database, patient, 5)
    assert (await verdict(database, patient)).whole
    found = await verdict(database, patient, head)
    assert (found.wrong_at, found.why) == (4, "does not follow")


async def test_a_head_of_before_is_in_a_log_that_went_on(database: Database, patient: Patient) -> None:
    await opened(database, patient, 2)
    before = (await verdict(database, patient)).head
    await opened(database, patient, 2)
    assert (await verdict(database, patient, before, Head(0, b""))).whole


async def test_erasing_leaves_the_chain_and_no_content(database: Database, patient: Patient) -> None:
    await opened(database, patient, 3)
    head = (await verdict(database, patient)).head
    await erased(database, patient)
    await opened(database, patient, 2)
    found = await verdict(database, patient, head)
    assert (found.whole, found.head.entries, found.erased) == (True, 5, 3)
    async with database.writer() as conn:
        entries = await access_log.of_patient(conn, patient.patient_id)
    assert [(entry.way, entry.outcome, entry.who) for entry in entries[-3:]] == [(Way.ERASED, None, None)] * 3


async def test_an_erased_entry_that_is_given_a_content_again_shows(
    database: Database, patient: Patient
) -> None:
    await opened(database, patient, 3)
    await erased(database, patient)
    await tamper(database, patient, f"UPDATE {LOG} SET who = 'x' WHERE patient_id = %(who)s AND entry_id = 2")
    assert (await verdict(database, patient)).why == "emptied"


async def test_an_erased_log_that_is_cut_shows_by_its_receipt(database: Database, patient: Patient) -> None:
    await opened(database, patient, 3)
    await erased(database, patient)
    await tamper(database, patient, f"DELETE FROM {LOG} WHERE patient_id = %(who)s AND entry_id > 1")
    found = await verdict(database, patient)
    assert (found.wrong_at, found.why) == (3, "missing")


@pytest.mark.sealed
@pytest.mark.parametrize(
    "statement", ["UPDATE {} SET who = ''", "DELETE FROM {}", "INSERT INTO {} DEFAULT VALUES"]
)
async def test_the_writer_can_only_append(database: Database, statement: str) -> None:
    async def attempt() -> None:
        async with database.writer() as conn:
            await conn.execute(statement.format(LOG))

    with pytest.raises(DatabaseRefused):
        await attempt()


@pytest.mark.parametrize(
    "text", ["", "x", "3", "3-", "3-00", f"-1-{bytes(32).hex()}", "0-00", "1; DROP TABLE x"]
)
def test_a_text_that_is_no_head_is_refused(text: str) -> None:
    with pytest.raises(MalformedHead):
        Head.parse(text)


def test_a_head_is_read_as_it_is_written() -> None:
    head = Head(12, bytes(range(32)))
    assert Head.parse(str(head)) == head
    assert Head.parse(str(Head(0, b""))) == Head(0, b"")
