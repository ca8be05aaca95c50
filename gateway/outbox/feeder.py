"""The feeder: what the outbox holds for a space is told there, in order, by one process at a time.

Entries are opened against what the space was told: a stretch of a device's readings is walked page by page,
so memory is bounded however long the history, and what is told already is passed over. The cursor moves when
all that lay before it is settled; a process that is killed walks the same stretch again and finds it told.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from time import monotonic

import httpx

from device_profiles.errors import PasserelleError, SpaceError
from fhir_mapping.opaque import ReadingIds
from gateway import logs
from gateway.home import Home
from gateway.outbox import answers, limits
from gateway.outbox.claim import Claim
from gateway.outbox.client import FHIR_JSON, SpaceClient
from gateway.outbox.connections import client_of, dialect_named
from gateway.outbox.errors import FedElsewhere, SpaceBusy, SpaceContends, SpaceRefuses
from gateway.outbox.exchange import Exchange, PageIsOld, Told
from gateway.outbox.pace import Pace, pause
from gateway.outbox.plan import page_of, plan_of
from gateway.outbox.transactions import Transaction, Writer
from storage import deliveries, devices, erasure, readings, spaces
from storage.clock_segments import Range
from storage.deliveries import ToErase
from storage.errors import UnknownSpace
from storage.spaces import Space

logger = logging.getLogger(__name__)

_FIRST = (-(1 << 31), -(1 << 15))
"""Below every sequence and ordinal."""


async def feed(home: Home, space: Space, so_far: Told | None = None, *, retry_refused: bool = False) -> Told:
    """Tells a space all that waits, now; counts in `so_far`.

    A space that asks for patience is given PATIENCE; what fails is written down, with when to try again.
    `retry_refused`: what it refused before too. Raises SpaceError.
    """
    claim = Claim(home.database, space)
    async with claim.held(limits.PATIENCE) as ours:
        if not ours:
            raise FedElsewhere(space=space.url)
        space = await _again(home, space)
        so_far, pace = so_far or Told(), _pace(space)
        patience = limits.PATIENCE.total_seconds()
        while True:
            told, begun = so_far.told, monotonic()
            try:
                async with client_of(home, space) as client:
                    await _Feeder(home, space, client, claim, so_far, pace).run(retry_refused=retry_refused)
            except SpaceBusy as busy:
                wait = await _failed(home, space, busy, pace)
                patience = limits.PATIENCE.total_seconds() if so_far.told > told else patience
                patience -= wait + (monotonic() - begun if so_far.told == told else 0)
                if patience < 0:
                    raise
                await asyncio.sleep(wait)
                space = await _again(home, space)
            except SpaceError as error:
                await _failed(home, space, error, pace)
                raise
            else:
                return so_far


async def feed_due(home: Home) -> None:
    """Tells every space that may be asked now what waits for it. What fails is tried again later."""
    async with home.database.writer() as conn:
        due = await spaces.due(conn, datetime.now(UTC), limits.LONGEST_WAIT)
    turn = asyncio.Semaphore(limits.SPACES_AT_ONCE)

    async def one(space: Space) -> None:
        async with turn:
            await _feed_in_the_background(home, space)

    for outcome in await asyncio.gather(*(one(space) for space in due), return_exceptions=True):
        if isinstance(outcome, Exception):  # its text may tell of a person; the others were fed
            logger.warning("feeding of a space: %s", type(outcome).__name__)


async def _feed_in_the_background(home: Home, space: Space) -> None:
    claim, so_far, pace = Claim(home.database, space), Told(), _pace(space)
    problem: PasserelleError | None = None
    async with claim.held() as ours:
        if not ours:
            return
        try:
            async with client_of(home, space) as client:
                await _Feeder(home, space, client, claim, so_far, pace).run()
        except SpaceError as error:
            problem = error
            await _failed(home, space, error, pace)
        except PasserelleError as error:
            problem = error
        except Exception as error:  # noqa: BLE001 - not at once again; its text may tell
            await _failed(home, space, error, pace)
            logs.event(logger, "fed", outcome="failed", kind=type(error).__name__, level=logging.ERROR)
            return
    outcome = "failed" if problem else "told"
    logs.event(logger, "fed", outcome=outcome, told=so_far.told, refused=so_far.refused, error=problem)


def _pace(space: Space) -> Pace:
    return Pace(dialect_named(space.dialect).observations or limits.BATCH, space.batch)


async def _failed(home: Home, space: Space, error: Exception, pace: Pace) -> float:
    """Writes down why, and when to try again; gives the seconds until then."""
    async with home.database.writer() as conn:
        try:
            attempts = (await spaces.get(conn, space.patient_id, space.space_id)).attempts
        except UnknownSpace:
            return 0.0
        wait = pause(attempts, error.wait if isinstance(error, SpaceBusy) else None)
        words = getattr(error, "words", None)
        not_before = datetime.now(UTC) + wait
        await spaces.failed(conn, space, type(error).__name__, words, not_before, pace.batch)
    return wait.total_seconds()


async def _again(home: Home, space: Space) -> Space:
    async with home.database.writer() as conn:
        return await spaces.get(conn, space.patient_id, space.space_id)


@dataclass(slots=True)
class _Feeder:
    """Feeds one space, while the claim is held."""

    home: Home
    space: Space
    client: SpaceClient
    claim: Claim
    so_far: Told
    pace: Pace

    async def run(self, *, retry_refused: bool = False) -> None:
        """All that waits, until nothing does. Raises SpaceError."""
        work = _Work(self)
        if retry_refused:
            async with self.home.database.writer() as conn:
                refused = await deliveries.refused_stretches(conn, self.space)
            await work.walk_all(refused, retry_refused=True)
        moving = True
        while moving:
            async with self.home.database.writer() as conn:
                pending = await spaces.pending(conn, self.space)
            if pending.erases:
                await work.erase()
            await work.walk_all(pending.stretches)
            moving = await self._advance(pending.last_entry_id)

    async def _advance(self, entry_id: int) -> bool:
        """Moves the cursor; whether there may be more."""
        if entry_id == self.space.told_entry_id:
            return False
        async with self.home.database.writer() as conn:
            await spaces.advance(conn, self.space, entry_id)
            try:
                self.space = await spaces.get(conn, self.space.patient_id, self.space.space_id)
            except UnknownSpace:  # the person was erased, and this was the last that had to hear of it
                return False
        return self.space.told_entry_id == entry_id and self.space.disconnected_at is None


class _Work:
    """What a feeder does, stretch by stretch."""

    def __init__(self, feeder: _Feeder) -> None:
        self._database = feeder.home.database
        self._space = feeder.space
        self._client = feeder.client
        self._claim = feeder.claim
        self._so_far = feeder.so_far
        dialect = dialect_named(feeder.space.dialect)
        self._dialect = dialect
        self._writer = Writer(feeder.space, ReadingIds(feeder.home.secret.fhir_ids()), dialect)
        self._pace = feeder.pace

    async def walk_all(
        self, stretches: Mapping[int, Sequence[Range]], *, retry_refused: bool = False
    ) -> None:
        """Tells what is to be told of these stretches, device by device."""
        for device_id, of_device in stretches.items():
            for stretch in of_device:
                await self.walk(device_id, stretch, retry_refused=retry_refused)

    async def walk(self, device_id: int, stretch: Range, *, retry_refused: bool = False) -> None:
        """Tells what is to be told of a stretch of a device's readings."""
        begin, after = stretch[0], _FIRST
        while True:
            last = await self._page(device_id, (begin, stretch[1]), after, retry_refused=retry_refused)
            if last is None:
                return
            begin, after = last[0], (last[1], last[2])

    async def _page(
        self, device_id: int, stretch: Range, after: tuple[int, int], *, retry_refused: bool
    ) -> tuple[int, int, int] | None:
        """One page, until nothing of it is left to be told. The last key, if there may be more behind it."""
        for _ in range(limits.ROUNDS):
            if self._claim.lost:
                raise FedElsewhere(space=self._space.url)
            exchange, last, count = await self._planned(
                device_id, stretch, after, retry_refused=retry_refused
            )
            retry_refused = False
            if exchange is not None:
                try:
                    await exchange.send()
                except PageIsOld:
                    continue
            if exchange is None or not exchange.again:
                return last if count == limits.PAGE else None
        raise SpaceContends(space=self._space.url)

    async def _planned(
        self, device_id: int, stretch: Range, after: tuple[int, int], *, retry_refused: bool
    ) -> tuple[Exchange | None, tuple[int, int, int], int]:
        """What is to be done with a page (None: nothing), its last key, and how many readings it has."""
        async with self._database.writer() as conn:
            erasures = await deliveries.erasures(conn, self._space)
            found = await readings.page_of_device(
                conn, self._space.patient_id, device_id, stretch, after=after, limit=limits.PAGE
            )
            series = found.series
            if not len(series):
                return None, (stretch[0], *after), 0
            keys = [
                (int(series.recorded_at[row]), int(series.sequence[row]), int(series.ordinal[row]))
                for row in (0, -1)
            ]
            delivered = await deliveries.of_stretch(conn, self._space, device_id, keys[0], keys[1])
        page = page_of(series, found.left_out, delivered, self._dialect)
        plan = plan_of(page, self._dialect, retry_refused=retry_refused)
        if not (len(plan.rows) or len(plan.unfit) or plan.shown):
            return None, keys[1], len(series)
        exchange = Exchange(
            self._database,
            self._client,
            self._writer,
            self._pace,
            self._so_far,
            page,
            plan,
            device_id,
            erasures,
        )
        return exchange, keys[1], len(series)

    async def erase(self) -> None:
        """Has the space erase what was erased here, and completes the receipts.

        A space that takes no changes erases nothing: the receipts say that the person has to ask it.
        """
        if not self._dialect.takes_changes:
            async with self._database.writer() as conn:
                await erasure.given_up(conn, self._space.patient_id, self._space.space_id, datetime.now(UTC))
            return
        while True:
            async with self._database.writer() as conn:
                waiting = await deliveries.to_erase(conn, self._space, self._pace.batch)
                if not waiting:
                    await erasure.told(conn, self._space.patient_id, self._space.space_id, datetime.now(UTC))
                    return
            names = await self._names(waiting)
            if names:
                await self._delete(names)
            async with self._database.writer() as conn:
                await deliveries.forget(conn, self._space, waiting)
            self._so_far.told += len(waiting)

    async def _names(self, waiting: tuple[ToErase, ...]) -> list[str]:
        """How the space calls these; those that it may have under an unknown name are named first."""
        names = [one.remote_id for one in waiting if one.remote_id is not None]
        unknown = [one for one in waiting if one.remote_id is None]
        if unknown:
            async with self._database.writer() as conn:
                owned = await devices.of_patient(conn, self._space.patient_id, forgotten=True)
            known = {device.device_id: device.device for device in owned}
            asked = [one for one in unknown if one.device_id in known]
            if asked:
                sent = self._writer.placeholders(asked, known)
                found = answers.outcomes(await self._post(sent), sent.entries, self._client.base)
                names += [one.fhir_id for one in found[sent.around :] if one.done and one.fhir_id]
        return names

    async def _delete(self, names: list[str]) -> None:
        """Deletes Observations; those that are gone already are named by the space, and passed over."""
        while names:
            answer = await self._client.request(
                "POST",
                self._client.fhir,
                content=self._writer.deletions(names).body,
                headers={"Content-Type": FHIR_JSON, "Accept": FHIR_JSON},
            )
            if answer.is_success:
                found = answers.outcomes(answer, len(names), self._client.base)
                if all(one.done or one.status in {404, 410} for one in found):
                    return
                raise SpaceRefuses(space=self._client.base, status=max(one.status for one in found))
            said = answers.refusal(answer)
            gone = {entry for entry in said.entries if entry < len(names)}
            if answer.status_code not in {404, 410}:
                raise SpaceRefuses(said.words or None, space=self._client.base, status=answer.status_code)
            if not gone and len(names) > 1:
                await self._delete(names[: len(names) // 2])
                await self._delete(names[len(names) // 2 :])
                return
            names = [name for place, name in enumerate(names) if place not in (gone or {0})]

    async def _post(self, transaction: Transaction) -> httpx.Response:
        headers = {"Content-Type": FHIR_JSON, "Accept": FHIR_JSON}
        answer = await self._client.request(
            "POST", self._client.fhir, content=transaction.body, headers=headers
        )
        if not answer.is_success:
            said = answers.refusal(answer)
            raise SpaceRefuses(said.words or None, space=self._client.base, status=answer.status_code)
        return answer
