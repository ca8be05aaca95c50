"""What the patient gives: a share is chosen and sealed here, kept by the shelf, and followed.

A share is stored before the shelf hears of it, so that a shelf that is down delays it and loses nothing.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from uuid import UUID, uuid4
from zoneinfo import ZoneInfo

import numpy as np

from device_profiles.errors import PasserelleError, SpaceError
from device_profiles.reading import UNKNOWN_TIME, ReadingSeries
from fhir_mapping import bundle
from fhir_mapping.opaque import ReadingIds
from gateway import sealing
from gateway.home import Home
from gateway.reports.period import Period
from gateway.sealing import FHIR_JSON, SMART_API_ACCESS, HomeSecret, SealedLink
from gateway.settings import shelf_of
from gateway.shelf_client import LinkClosed, ShelfClient, ShelfUnreachable
from gateway.shelf_home import gateway_token
from storage import access_log, erasure, patients, readings, shares
from storage.access_log import Access
from storage.errors import UnknownShare
from storage.patients import Patient
from storage.shares import NewShare, Share

DEFAULT_LIFE = timedelta(days=30)
"""How long a share lasts when nothing is said: a consultation and what follows it."""

LONGEST_LIFE = timedelta(days=36525)
"""A hundred years: beyond them the clocks of others end, and 9999 is a way to say never."""

PASSCODE_DIGITS = 6
"""With ten tries for the life of a link, a guess succeeds once in 100 000."""


class NothingToShare(PasserelleError):
    """The person has no reading in the days to be shared."""

    sentence = "There is no reading to share. Sync a meter or import a file first, or choose more days."


class EndInThePast(PasserelleError):
    """A share that would end before it begins."""

    sentence = "The last day lies in the past. Choose today or a later day with --until."


class EndTooFar(PasserelleError):
    """A share that would outlive everybody."""

    sentence = "The last day of a share is too far away. Choose a day within a hundred years with --until."


@dataclass(frozen=True, slots=True)
class CreatedShare:
    """A share as its person hears of it, once. `waiting`: the shelf did not answer yet."""

    share: Share
    url: str = field(repr=False)
    passcode: str | None = field(repr=False)
    observations: int
    waiting: bool


def new_passcode() -> str:
    """Digits that a person can say over the telephone."""
    return f"{secrets.randbelow(10**PASSCODE_DIGITS):0{PASSCODE_DIGITS}}"


def collection(secret: HomeSecret, patient: Patient, series: ReadingSeries) -> bytes:
    """A FHIR collection Bundle of a person, their devices and these readings."""
    return bundle.collection(
        series, ReadingIds(secret.fhir_ids()), timestamp=datetime.now(UTC), patient_name=patient.name
    )


async def create(
    home: Home,
    name: str,
    *,
    days: int | None = None,
    until: date | None = None,
    passcode: str | None = None,
    label: str | None = None,
) -> CreatedShare:
    """Share a person's readings: all, or those of the last `days` local days that have any.

    `until`: the last day on which the link opens, in the person's zone. Raises `UnknownPatient`,
    `NothingToShare`, `EndInThePast`, `EndTooFar`, `PasscodeUnusable`; `SpaceError` when a shelf that answers
    refuses it, and then it is not kept.
    """
    now = datetime.now(UTC)
    hashed = None if passcode is None else sealing.hash_passcode(passcode)
    async with home.database.writer() as connection:
        patient = await patients.find(connection, name)
        expires_at = _end(until, patient.zone, now)
        start, end = await _period(connection, patient, days)
        observations = len(await readings.series(connection, patient.patient_id, start=start, end=end))
        if not observations:
            raise NothingToShare
        link_id, share_id = sealing.new_manifest_id(), uuid4()
        kept = _Kept(link_id, sealing.new_key(), hashed)
        new = NewShare(
            share_id=share_id,
            link_hash=sealing.token_hash(link_id),
            sealed_secret=kept.wrapped(home.secret, share_id),
            shelf_url=shelf_of(home.settings),
            label=label,
            period_start=start,
            period_end=end,
            live=False,
            expires_at=expires_at,
            has_passcode=passcode is not None,
        )
        link = _link(new, kept)  # a label or an address that is too long is refused before anything is kept
        share = await shares.create(connection, patient.patient_id, new, now)
    waiting = await _first_delivery(home, share, now)
    return CreatedShare(share, link.url(share.shelf_url), passcode, observations, waiting)


async def _first_delivery(home: Home, share: Share, now: datetime) -> bool:
    """Put a new share on its shelf. Whether it waits; one that the shelf refuses (SpaceError) is not kept."""
    try:
        await _deliver(home, share)
    except ShelfUnreachable:
        return True
    except SpaceError:
        async with home.database.writer() as connection:
            # Nobody will have its link, and the shelf that refused it has nothing to be told.
            await shares.revocation_told(connection, await shares.revoke(connection, share, now), now)
        raise
    return False


async def create_access(
    home: Home,
    patient: Patient,
    access: Mapping[str, object],
    grant_id: UUID,
    *,
    label: str,
    expires_at: datetime,
) -> CreatedShare:
    """A link that carries a grant: `access` is its file of `application/smart-api-access`.

    The shelf cannot read it; the space that it opens can read what it serves. Raises as `create`.
    """
    now = datetime.now(UTC)
    async with home.database.writer() as connection:
        link_id, share_id = sealing.new_manifest_id(), uuid4()
        kept = _Kept(link_id, sealing.new_key(), None, access, str(grant_id))
        new = NewShare(
            share_id=share_id,
            link_hash=sealing.token_hash(link_id),
            sealed_secret=kept.wrapped(home.secret, share_id),
            shelf_url=shelf_of(home.settings),
            label=label[: sealing.LABEL_MAX // 2],
            live=False,
            expires_at=expires_at,
        )
        link = _link(new, kept)
        share = await shares.create(connection, patient.patient_id, new, now)
    waiting = await _first_delivery(home, share, now)
    return CreatedShare(share, link.url(share.shelf_url), None, 0, waiting)


async def revoke_access(home: Home, patient_id: int, grant_id: UUID) -> None:
    """End the links that carry a grant which is over; a shelf that does not answer is told later."""
    async with home.database.writer() as connection:
        known = await shares.of_patient(connection, patient_id)
    for share in known:
        ended = share.revoked_at is not None or share.erased
        if not ended and _Kept.unwrapped(home.secret, share).grant_id == str(grant_id):
            await revoke(home, share.share_id)


async def revoke(home: Home, share_id: UUID) -> bool:
    """End a share. Whether the shelf knows it; else it is told later. Raises `UnknownShare`."""
    now = datetime.now(UTC)
    async with home.database.writer() as connection:
        share = await shares.revoke(connection, await shares.find(connection, share_id), now)
    try:
        await _deliver(home, share)  # also one that seems to wait: its upload may have come without an answer
    except ShelfUnreachable:
        return False
    except SpaceError:
        if share.uploaded_at is not None:
            raise
    return True


async def link_of(home: Home, patient_id: int, share_id: UUID) -> tuple[Share, str | None]:
    """A person's share, and its link to be shown again; None for one that is over. Raises `UnknownShare`."""
    async with home.database.writer() as connection:
        share = await shares.find(connection, share_id)
    if share.patient_id != patient_id:
        raise UnknownShare
    if share.erased or not share.active(datetime.now(UTC)):
        return share, None
    return share, _link(share, _Kept.unwrapped(home.secret, share)).url(share.shelf_url)


async def deliver_waiting(home: Home) -> tuple[SpaceError, ...]:
    """Tell the shelves everything that they do not know yet; returns what kept some of it from them."""
    async with home.database.writer() as connection:
        waiting = await shares.waiting(connection, datetime.now(UTC))

    async def deliver(share: Share) -> None:
        await _deliver(home, share)

    return await _each(waiting, deliver)


async def fetch_openings(home: Home) -> tuple[SpaceError, ...]:
    """Bring who opened what from the shelves into the person's access log; returns what kept some away."""
    async with home.database.writer() as connection:
        everybody = await patients.list_all(connection)
        known = [s for p in everybody for s in await shares.of_patient(connection, p.patient_id)]

    async def fetch(share: Share) -> None:
        async with _shelf(home, share.shelf_url) as shelf:
            with suppress(LinkClosed):  # a shelf that has lost a link has nothing to tell of it
                openings = await shelf.openings(share.link_hash, after=share.openings_cursor)
                async with home.database.writer() as connection:
                    await access_log.record(connection, share, openings)

    return await _each(
        [share for share in known if share.uploaded_at is not None and not share.erased], fetch
    )


async def _each(known: Sequence[Share], visit: Callable[[Share], Awaitable[None]]) -> tuple[SpaceError, ...]:
    """Visit the shelf of each share: one that fails keeps nothing from the others. Each failure once."""
    failures: dict[tuple[object, ...], SpaceError] = {}
    down: set[str] = set()
    for share in known:
        if share.shelf_url in down:
            continue
        try:
            await visit(share)
        except SpaceError as error:
            failures.setdefault((type(error), *error.details.values()), error)
            if isinstance(error, ShelfUnreachable):
                down.add(share.shelf_url)
    return tuple(failures.values())


@dataclass(frozen=True, slots=True)
class _Kept:
    """What the gateway keeps of a link, wrapped under the home's secret."""

    link_id: str = field(repr=False)
    key: bytes = field(repr=False)
    passcode_hash: str | None
    access: Mapping[str, object] | None = field(default=None, repr=False)
    """What a file of `application/smart-api-access` says, in the place of readings."""
    grant_id: str | None = None

    def wrapped(self, secret: HomeSecret, share_id: UUID) -> bytes:
        kept = [self.link_id, sealing.base64url(self.key), self.passcode_hash]
        more = [] if self.access is None else [self.access, self.grant_id]
        return secret.wrap(json.dumps([*kept, *more]).encode(), str(share_id))

    @classmethod
    def unwrapped(cls, secret: HomeSecret, share: Share) -> _Kept:
        link_id, key, *rest = json.loads(secret.unwrap(share.sealed_secret, str(share.share_id)))
        return cls(link_id, sealing.from_base64url(key), *rest)


def _link(share: NewShare | Share, kept: _Kept) -> SealedLink:
    return SealedLink(
        sealing.manifest_url(share.shelf_url, kept.link_id),
        kept.key,
        label=share.label,
        expires_at=share.expires_at,
        passcode=share.has_passcode,
        long_term=share.live,
    )


def _shelf(home: Home, shelf_url: str) -> ShelfClient:
    return ShelfClient(shelf_url, gateway_token(home.settings))


async def _deliver(home: Home, share: Share) -> None:
    now = datetime.now(UTC)
    async with _shelf(home, share.shelf_url) as shelf:
        if share.revoked_at is not None:
            with suppress(LinkClosed):  # what the shelf does not have is closed
                await shelf.revoke(share.link_hash)
            async with home.database.writer() as connection:
                await shares.revocation_told(connection, share, now)
                await erasure.forget_told_shares(connection, share.patient_id)
            return
        kept = _Kept.unwrapped(home.secret, share)
        content, until = await _content(home, share, kept, now)
        content_type = FHIR_JSON if kept.access is None else SMART_API_ACCESS
        await shelf.put(
            share.link_hash,
            [sealing.seal(content, kept.key, content_type)],
            content_type=content_type,
            flags=_link(share, kept).flags,
            expires_at=share.expires_at,
            passcode_hash=kept.passcode_hash,
        )
        async with home.database.writer() as connection:
            await shares.uploaded(connection, share, until, now)


async def _content(home: Home, share: Share, kept: _Kept, now: datetime) -> tuple[bytes, datetime | None]:
    """What a link carries, and until when its readings reach; an access reaches as far as its grant."""
    if kept.access is not None:
        left = 0 if share.expires_at is None else int((share.expires_at - now).total_seconds())
        return json.dumps({**kept.access, "expires_in": max(0, left)}).encode(), None
    async with home.database.writer() as connection:
        patient = await patients.get(connection, share.patient_id)
        series = await readings.series(
            connection,
            share.patient_id,
            kinds=share.kinds,
            start=share.period_start,
            end=share.period_end,
        )
    return collection(home.secret, patient, series), _last_time(series)


def _last_time(series: ReadingSeries) -> datetime | None:
    placed = series.effective_time[series.effective_time != UNKNOWN_TIME]
    return datetime.fromtimestamp(int(np.max(placed)) / 1e6, UTC) if len(placed) else None


def _end(until: date | None, zone: ZoneInfo, now: datetime) -> datetime:
    if until is None:
        return now + DEFAULT_LIFE
    if until > now.date() + LONGEST_LIFE:
        raise EndTooFar
    end = datetime.combine(until + timedelta(days=1), time.min, zone).astimezone(UTC)
    if end <= now:
        raise EndInThePast
    return end


async def _period(
    connection: object, patient: Patient, days: int | None
) -> tuple[datetime | None, datetime | None]:
    if days is None:
        return None, None
    last = await readings.last_effective_time(connection, patient.patient_id, None)  # type: ignore[arg-type]
    if last is None:
        raise NothingToShare
    zone = ZoneInfo(patient.timezone)
    period = Period.ending(last.astimezone(zone).date(), days, zone)
    return period.start, period.end


@dataclass(frozen=True, slots=True)
class FollowedShare:
    """A share with what became of it. `state`: waiting, open, expired, or revoked."""

    patient_name: str
    share: Share
    state: str
    openings: tuple[Access, ...]
    """The newest first."""


async def followed(home: Home, name: str | None = None) -> list[FollowedShare]:
    """The shares of one person or of everybody, the newest first. Raises `UnknownPatient`."""
    now = datetime.now(UTC)
    async with home.database.writer() as connection:
        people = [await patients.find(connection, name)] if name else await patients.list_all(connection)
        return [
            FollowedShare(
                patient.name, share, _state(share, now), await access_log.of_share(connection, share)
            )
            for patient in people
            for share in await shares.of_patient(connection, patient.patient_id)
        ]


def _state(share: Share, now: datetime) -> str:
    if share.revoked_at is not None:
        return "revoked"
    if share.expires_at is not None and share.expires_at <= now:
        return "expired"
    return "waiting" if share.uploaded_at is None else "open"
