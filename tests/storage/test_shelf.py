"""The shelf: what it hands out, to whom, how often, and for how long."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from uuid import uuid4

import pytest

from storage import shelf
from storage.database import Database
from storage.errors import UnknownLink
from storage.shelf import Outcome, SealedFile

NOW = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)
FILE = SealedFile("application/fhir+json", b"header..iv.ciphertext.tag")


def secret() -> bytes:
    return sha256(uuid4().bytes).digest()


@pytest.fixture
async def uploader(database: Database) -> bytes:
    token = secret()
    async with database.shelf() as conn:
        await shelf.enrol(conn, token, "gateway", NOW)
    return token


async def linked(database: Database, uploader: bytes, **more: object) -> bytes:
    link = secret()
    async with database.shelf() as conn:
        await shelf.create_link(conn, uploader, link, NOW, **more)  # type: ignore[arg-type]
        await shelf.put_files(conn, uploader, link, [FILE], NOW)
    return link


async def test_only_who_is_enrolled_and_not_turned_away_is_known(database: Database, uploader: bytes) -> None:
    async with database.shelf() as conn:
        await shelf.enrol(conn, uploader, "again", NOW)
        known = await shelf.uploader(conn, uploader)
        assert known is not None
        assert known.label == "gateway"
        assert await shelf.uploader(conn, secret()) is None
        await shelf.turn_away(conn, uploader, NOW)
        assert await shelf.uploader(conn, uploader) is None


async def test_files_are_replaced_all_at_once(database: Database, uploader: bytes) -> None:
    link = await linked(database, uploader)
    later = NOW + timedelta(minutes=1)
    async with database.shelf() as conn:
        await shelf.put_files(conn, uploader, link, [SealedFile("a/b", b"1"), SealedFile("a/b", b"2")], later)
    async with database.shelf() as conn:
        found = await shelf.files(conn, link)
        changed = await shelf.active_link(conn, link, later)
    assert [(file.number, file.ciphertext) for file in found] == [(0, b"1"), (1, b"2")]
    assert changed is not None
    assert changed.changed_at == later


async def test_a_link_made_twice_is_the_same_and_another_s_is_nobody_s(
    database: Database, uploader: bytes
) -> None:
    link = await linked(database, uploader, flags="L")
    stranger = secret()
    async with database.shelf() as conn:
        assert (await shelf.create_link(conn, uploader, link, NOW, flags="P")).flags == "L"
        for attempt in (
            shelf.create_link(conn, stranger, link, NOW),
            shelf.put_files(conn, stranger, link, [FILE], NOW),
            shelf.revoke_link(conn, stranger, link, NOW),
            shelf.set_expiry(conn, stranger, link, None, NOW),
        ):
            with pytest.raises(UnknownLink):
                await attempt
        assert await shelf.openings_after(conn, stranger, link, 0) == ()


async def test_a_link_ends_at_its_expiry_and_at_its_revocation(database: Database, uploader: bytes) -> None:
    link = await linked(database, uploader, expires_at=NOW + timedelta(days=1))
    async with database.shelf() as conn:
        assert await shelf.active_link(conn, link, NOW) is not None
        assert await shelf.active_link(conn, link, NOW + timedelta(days=1)) is None
        await shelf.set_expiry(conn, uploader, link, NOW + timedelta(days=3), NOW)
        assert await shelf.active_link(conn, link, NOW + timedelta(days=2)) is not None
        await shelf.revoke_link(conn, uploader, link, NOW)
        await shelf.revoke_link(conn, uploader, link, NOW)
        assert await shelf.active_link(conn, link, NOW) is None
        assert await shelf.files(conn, link) == ()
        with pytest.raises(UnknownLink):
            await shelf.put_files(conn, uploader, link, [FILE], NOW)


async def test_a_file_s_address_lives_an_hour_at_most_and_not_longer_than_its_link(
    database: Database, uploader: bytes
) -> None:
    link, address = await linked(database, uploader), secret()
    async with database.shelf() as conn:
        with pytest.raises(ValueError, match="hour"):
            await shelf.create_location(conn, address, link, 0, NOW, timedelta(hours=1, seconds=1))
        end = await shelf.create_location(conn, address, link, 0, NOW, timedelta(hours=1))
        found = await shelf.file_at(conn, address, NOW)
        assert found is not None
        assert found.ciphertext == FILE.ciphertext
        assert await shelf.file_at(conn, address, end) is None
        assert await shelf.file_at(conn, secret(), NOW) is None
        await shelf.revoke_link(conn, uploader, link, NOW)
        assert await shelf.file_at(conn, address, NOW) is None


async def test_parallel_guesses_never_compare_more_than_the_link_allows(
    database: Database, uploader: bytes
) -> None:
    link = await linked(database, uploader, passcode_hash="hash", attempts=5)

    async def guess() -> shelf.Attempt | None:
        async with database.shelf() as conn:
            return await shelf.debit_attempt(conn, link, NOW)

    allowed = [attempt for attempt in await asyncio.gather(*(guess() for _ in range(20))) if attempt]
    assert sorted(attempt.attempts_left for attempt in allowed) == [0, 1, 2, 3, 4]
    assert await guess() is None


async def test_a_right_passcode_costs_no_attempt(database: Database, uploader: bytes) -> None:
    link = await linked(database, uploader, passcode_hash="hash", attempts=1)
    for _ in range(3):
        async with database.shelf() as conn:
            attempt = await shelf.debit_attempt(conn, link, NOW)
        assert attempt == shelf.Attempt("hash", 0)
        async with database.shelf() as conn:
            await shelf.refund_attempt(conn, link)


async def test_openings_are_numbered_without_holes_and_told_to_their_uploader(
    database: Database, uploader: bytes
) -> None:
    link = await linked(database, uploader)

    async def opened(number: int) -> int | None:
        async with database.shelf() as conn:
            return await shelf.record_opening(conn, link, f"clinic {number}", Outcome.OPENED, 1, NOW)

    assert sorted(filter(None, await asyncio.gather(*(opened(number) for number in range(8))))) == [
        *range(1, 9)
    ]
    async with database.shelf() as conn:
        rest = await shelf.openings_after(conn, uploader, link, 6)
        assert await shelf.record_opening(conn, secret(), "nobody", Outcome.ENDED, 0, NOW) is None
    assert [opening.number for opening in rest] == [7, 8]
    assert rest[0].opened_at == NOW


async def test_what_is_over_is_swept_away(database: Database, uploader: bytes) -> None:
    link, address = await linked(database, uploader, expires_at=NOW + timedelta(days=1)), secret()
    kept = await linked(database, uploader)
    async with database.shelf() as conn:
        await shelf.create_location(conn, address, link, 0, NOW, timedelta(minutes=5))
        await shelf.sweep(conn, NOW + timedelta(days=2))
        assert await shelf.files(conn, link) == ()
        assert len(await shelf.files(conn, kept)) == 1
        row = await (
            await conn.execute("SELECT count(*) FROM shelf.location WHERE link_hash = %s", (link,))
        ).fetchone()
    assert row == (0,)
