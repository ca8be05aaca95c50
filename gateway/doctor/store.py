"""What the readings lie in, and what leaves from there: database, known meters, shelf, spaces."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from gateway.doctor import findings
from gateway.doctor.findings import Fact, Finding, State, found, of_error
from gateway.doctor.machine import size
from gateway.doctor.radio import names, of_bonds, paired_addresses
from gateway.home import Home, revealed
from gateway.settings import Settings, shelf_of
from storage import condition, devices, engine_report, patients, shares
from storage.addresses import Addresses, held
from storage.devices import StoredDevice
from storage.engine_report import Report
from storage.errors import NotOnWindowsYet

if TYPE_CHECKING:
    from gateway.outbox.status import SpaceStatus

LONG_AGO: Final = timedelta(days=14)
"""A person who measures does so within two weeks; a meter in use that was not read for longer is told."""

BATTERY_LOW: Final = 15
"""Percent: some weeks of a meter's cell, time enough to buy one."""

CLOCK_WRONG: Final = 600
"""Seconds: as far as `gateway.setting_clock` lets a clock be wrong before it calls it plainly wrong."""

SHELF_SECONDS: Final = 4.0


def is_there(settings: Settings) -> bool:
    """Whether a database was made; a look must not make one."""
    home = settings.home
    return settings.database is not None or any(
        (home / name).exists() for name in ("postgresql", "postgresql.at")
    )


async def database(settings: Settings, holding: AsyncExitStack) -> Sequence[Finding]:
    """The engine, its schema and its roles. The home's own server runs on as long as it is held."""
    if sys.platform == "win32" and settings.database is None:
        raise NotOnWindowsYet
    if not is_there(settings):
        return [found(findings.DATABASE_NONE)]
    addresses = await holding.enter_async_context(_addresses(settings))
    report = await engine_report.look(addresses, embedded=settings.database is None)
    return of_report(report) or [_in_order(report)]


def may_open(settings: Settings, seen: Sequence[Finding]) -> bool:
    """Whether opening the home would make nothing that is missing: a look changes nothing."""
    in_order = bool(seen) and all(each.meaning is findings.DATABASE for each in seen)
    return in_order and (settings.home / "secret").exists()


def of_report(report: Report) -> Sequence[Finding]:
    """What must be done, as the database's own check says it, and what would help."""
    must = [of_error("database", each) for each in report.must]
    return must and [*must, *(of_error("database", each, State.WARN) for each in report.advice)]


def _in_order(report: Report) -> Finding:
    holdings = report.holdings
    readings = holdings.readings if holdings else 0
    octets = sum(holdings.bytes_by_table.values()) if holdings else 0
    facts: Mapping[str, Fact] = {
        "engine": str(report.server.engine),
        "embedded": report.embedded,
        "steps": len(report.space.applied),
        "size_mb": octets >> 20,
        "readings_digits": len(str(readings)) if readings else 0,
    }
    shown = {"server": report.server.words, "readings": readings, "size": size(octets)}
    return Finding(findings.DATABASE, shown, facts)


async def damage(home: Home) -> Sequence[Finding]:
    """What the database noticed of its disk."""
    async with home.database.writer() as conn:
        damaged = await condition.damaged_blocks(conn)
    return [found(findings.DATABASE_DAMAGED, {"blocks": damaged}, count=damaged)] if damaged else []


async def bonds(home: Home) -> Sequence[Finding]:
    """Which of the known meters this computer cannot read any more."""
    try:
        paired = await paired_addresses(home.settings)
    except ValueError:
        return [found(findings.BONDS_UNREADABLE)]
    return of_bonds(await _known(home), paired)


async def syncs(home: Home) -> Sequence[Finding]:
    """When each meter was last read, and what it said of itself then."""
    return of_syncs(await _known(home), datetime.now(UTC))


def of_syncs(known: Sequence[StoredDevice], now: datetime) -> Sequence[Finding]:
    """What is to be told of meters; nothing where there are none."""
    late = [one for one in known if one.last_synced_at is None or now - one.last_synced_at > LONG_AGO]
    empty = [one for one in known if one.battery_percent is not None and one.battery_percent <= BATTERY_LOW]
    wrong = [one for one in known if abs(one.clock_error_seconds or 0) > CLOCK_WRONG]
    told = [
        found(meaning, {"devices": len(known), "of_them": len(which)}, names=names(which))
        for meaning, which in (
            (findings.SYNC_LONG_AGO, late),
            (findings.BATTERY_LOW, empty),
            (findings.METER_CLOCK, wrong),
        )
        if which
    ]
    return told or ([found(findings.SYNC, {"devices": len(known)})] if known else [])


async def shelf(home: Home) -> Sequence[Finding]:
    """Whether links can be opened: the shelf answers, or nobody needs it."""
    import httpx  # noqa: PLC0415 - a tenth of a second that a machine without a home does not spend

    now = datetime.now(UTC)
    needed = sum(share.active(now) for share in await _shares(home))
    try:
        async with httpx.AsyncClient(trust_env=False, timeout=SHELF_SECONDS) as http:
            answer = await http.get(f"{shelf_of(home.settings)}/health")
            answers = answer.status_code == HTTPStatus.OK
    except httpx.HTTPError:
        answers = False
    return of_shelf(answers=answers, needed=needed, own=home.settings.shelf_url is None)


def of_shelf(*, answers: bool, needed: int, own: bool) -> Sequence[Finding]:
    """What an answer, or none, means: `needed` links are on it, and it is of this home (`own`) or not."""
    facts = {"links": needed, "own": own}
    if answers:
        return [found(findings.SHELF, facts)]
    return [found(findings.SHELF_SILENT if needed or not own else findings.SHELF_NONE, facts)]


async def waiting(home: Home) -> Sequence[Finding]:
    """What was not sent yet, to the shelf and to the spaces that are fed."""
    from gateway.outbox.status import followed  # noqa: PLC0415 - as httpx above

    async with home.database.writer() as conn:
        links = len(await shares.waiting(conn, datetime.now(UTC)))
    return of_waiting(await followed(home), links)


def of_waiting(spaces: Sequence[SpaceStatus], links: int) -> Sequence[Finding]:
    """What is to be told of each space that does not go well, else how much waits in all."""
    told = []
    for space in spaces:
        meaning = {"shut": findings.WAITING_SHUT, "paused": findings.WAITING_PAUSED}.get(space.condition)
        if meaning is not None:
            told.append(found(meaning, {"count": space.waiting}, count=space.waiting))
    if told:
        return told
    count = links + sum(space.waiting + space.changes for space in spaces)
    return [found(findings.WAITING, {"count": count}, count=count) if count else found(findings.WAITING_NONE)]


async def _known(home: Home) -> list[StoredDevice]:
    """The meters of everybody here that a radio reaches."""
    async with home.database.writer() as conn:
        return [
            device
            for patient in await patients.list_all(conn)
            for device in await devices.of_patient(conn, patient.patient_id)
            if device.radio_address is not None
        ]


async def _shares(home: Home) -> list[shares.Share]:
    async with home.database.writer() as conn:
        return [
            share
            for patient in await patients.list_all(conn)
            for share in await shares.of_patient(conn, patient.patient_id)
        ]


def _addresses(settings: Settings) -> AbstractAsyncContextManager[Addresses]:
    return held(
        settings.home,
        revealed(settings.database),
        writer=revealed(settings.database_writer),
        reader=revealed(settings.database_reader),
        shelf=revealed(settings.database_shelf),
    )
