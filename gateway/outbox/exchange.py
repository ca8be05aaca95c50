"""One page of readings told to a space: sent in batches, the answers believed as far as they can be.

Before a reading is created it is written down that it may be there; after the answer, what the space has.
Whatever happens between, the same conditional create is sent again and finds what is there. A batch that is
refused is taken apart until the reading is found that the space does not take.
"""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Final

import httpx
import numpy as np
import numpy.typing as npt

from gateway.outbox import answers, belief, limits
from gateway.outbox.answers import Outcome
from gateway.outbox.client import FHIR_JSON, SpaceClient, parsed
from gateway.outbox.errors import (
    SpaceAnswersOddly,
    SpaceBusy,
    SpaceContends,
    SpaceRefuses,
    SpaceRefusesGateway,
    SpaceUnreachable,
)
from gateway.outbox.pace import Pace
from gateway.outbox.plan import FAILED_EACH_TIME, TOO_LARGE, Page, Plan, own_words
from gateway.outbox.transactions import Transaction, Writer
from storage import deliveries, spaces
from storage.connection import Connection
from storage.database import Database
from storage.deliveries import UNSURE, Delivered, State
from storage.spaces import Space

Rows = npt.NDArray[np.intp]

_HEADERS: Final = {"Content-Type": FHIR_JSON, "Accept": FHIR_JSON}
_OF_A_RECORD: Final = {400, 404, 409, 410, 412, 422}
"""Statuses that may be one reading's fault; any other is the space's, or the gateway's."""
_CONFLICT: Final = {409, 412}
_NOT_THERE: Final = {404, 410}
_READERS: Final = 8
"""Reads at a time, where versions have to be looked at."""


class PageIsOld(Exception):
    """Something was erased since the page was read: it has to be read again before more of it is sent."""


@dataclass(slots=True)
class Told:
    """What came of feeding, so far."""

    told: int = 0
    refused: int = 0
    refused_in_a_row: int = 0


@dataclass(slots=True)
class _Result:
    """What is known of a row after an exchange."""

    row: int
    state: State
    digest: int
    remote_id: str = ""
    etag: str = ""
    version: int = 1
    words: str = ""


@dataclass(slots=True, eq=False)
class Exchange:
    """Sends what is planned of one page. `erasures`: how many there were when it was read."""

    database: Database
    client: SpaceClient
    writer: Writer
    pace: Pace
    so_far: Told
    page: Page
    plan: Plan
    device_id: int
    erasures: int
    again: bool = field(default=False, init=False)
    """Whether something of the page is still to be told: read it again."""
    _conflicts: int = field(default=0, init=False)
    _suspects: list[int] = field(default_factory=list, init=False)

    @property
    def _space(self) -> Space:
        return self.writer.space

    async def send(self) -> None:
        """Tells the space all that is planned. Raises SpaceError; PageIsOld."""
        await self._mark_unsent()
        unknown = [row for row in self.plan.change.tolist() if not self.page.etag[row]]
        if unknown:
            await self._look_again(np.array(unknown))
        rows = np.setdiff1d(self.plan.rows, np.array(unknown, np.intp))
        waiting = deque([rows] if len(rows) else [])
        while waiting:
            part = waiting.popleft()
            size = self.pace.batch
            if len(part) > size:
                waiting.extendleft(part[at : at + size] for at in reversed(range(0, len(part), size)))
                continue
            waiting.extendleft(reversed(await self._attempt(part)))
        if self._suspects:
            raise SpaceUnreachable(space=self.client.base, answered=True)

    async def _mark_unsent(self) -> None:
        """What is not sent at all: readings that the dialect has no words for, or changes that it lacks."""
        page = self.page
        results = [
            _Result(row, State.REFUSED, int(page.created[row]), words=page.unfit[row])
            for row in self.plan.unfit.tolist()
        ]
        results += [
            _Result(
                row,
                State.SHOWN if differs else State.TOLD,
                int(page.told[row]),
                version=int(page.version[row]),
            )
            for row, differs in self.plan.shown.items()
        ]
        self.so_far.refused += len(self.plan.unfit)
        if results:
            async with self.database.writer() as conn:
                await self._hold(conn)
                await self._put(conn, results)

    async def _attempt(self, rows: Rows) -> list[Rows]:
        """Sends a batch; gives the rows of it that are to be sent again, in parts."""
        creates = np.isin(rows, self.plan.create)
        transaction = self.writer.of_rows(self.page, rows, creates)
        await self._note_sending(rows[creates])
        try:
            answer = await self._post(transaction)
        except SpaceBusy:
            self.pace.busy()
            raise
        except SpaceUnreachable as error:
            return await self._out_of_order(error, rows)
        if answer.is_success:
            await self._settle(transaction, answers.outcomes(answer, transaction.entries, self.client.base))
            self.pace.taken(len(rows))
            return []
        return await self._refused(answer, transaction)

    async def _post(self, transaction: Transaction) -> httpx.Response:
        # Another's server is asked to show what it has: then it shows too in which order it answers.
        prefer = {"Prefer": "return=minimal" if self.client.is_ours else "return=representation"}
        return await self.client.request(
            "POST", self.client.fhir, content=transaction.body, headers=_HEADERS | prefer
        )

    async def _note_sending(self, rows: Rows) -> None:
        """Writes down that these may be there from now on. Raises PageIsOld."""
        async with self.database.writer() as conn:
            await self._hold(conn)
            if len(rows):
                page = self.page
                other = (page.state[rows] == State.SENDING) & (page.told[rows] != page.created[rows])
                digest = np.where(other, UNSURE, page.created[rows])
                results = [
                    _Result(row, State.SENDING, one, version=int(page.version[row]))
                    for row, one in zip(rows.tolist(), digest.tolist(), strict=True)
                ]
                await self._put(conn, results)

    async def _hold(self, conn: Connection) -> None:
        """Nothing is erased until the transaction ends. Raises PageIsOld."""
        if await deliveries.hold(conn, self._space, self.device_id) != self.erasures:
            raise PageIsOld

    async def _out_of_order(self, error: SpaceUnreachable, rows: Rows) -> list[Rows]:
        """The space failed. Where it did so often, the reading it fails at is looked for."""
        if error.answered and self._space.attempts >= limits.FAILURES_OF_CHANCE:
            if len(rows) > 1:
                return _halves(rows)
            if not self._suspects:
                self._suspects.append(int(rows[0]))
                return []
        if error.answered:
            self.pace.failed()
        raise error

    async def _settle(self, transaction: Transaction, found: list[Outcome]) -> None:
        """Keeps what the space says that it has. Raises SpaceAnswersOddly before anything is believed."""
        self._believe(transaction, found)
        results: list[_Result] = []
        conflicts: list[int] = []
        failed = False
        told = found[transaction.around :]
        for row, created, outcome in zip(transaction.rows.tolist(), transaction.creates, told, strict=True):
            if outcome.done:
                results.append(self._created(row, outcome) if created else self._changed(row, outcome))
            elif outcome.status in _CONFLICT and not created:
                conflicts.append(row)
            elif outcome.status >= 500 or outcome.status < 200:
                failed = True
            else:
                results.append(self._not_taken(row, outcome.status, outcome.words, created=created))
        await self._keep(results)
        if conflicts:
            await self._look_again(np.array(conflicts))
        if failed:
            raise SpaceUnreachable(space=self.client.base, answered=True)

    def _believe(self, transaction: Transaction, found: list[Outcome]) -> None:
        if not belief.fits(self.page, transaction, found):
            raise SpaceAnswersOddly(space=self.client.base)

    def _created(self, row: int, outcome: Outcome) -> _Result:
        """It is there. What was there already is ours as written down, or another's, who told it before."""
        page = self.page
        digest, known = int(page.created[row]), outcome.status == httpx.codes.OK
        if (
            known
            and outcome.etag
            and (outcome.fhir_id, outcome.etag) == (page.remote_id[row], page.etag[row])
        ):
            digest = int(page.told[row])  # a new connection: the very version that was told under the old one
        elif known and page.state[row] == State.SENDING:
            digest = digest if page.told[row] == digest else UNSURE
        elif known and own_words(page, row):
            digest = UNSURE
        if digest != page.now[row] and self.writer.dialect.takes_changes:
            self.again = True
        return _Result(row, State.TOLD, digest, outcome.fhir_id, outcome.etag, max(1, int(page.version[row])))

    def _changed(self, row: int, outcome: Outcome) -> _Result:
        page = self.page
        version = int(page.version[row]) + 1
        return _Result(row, State.TOLD, int(page.now[row]), outcome.fhir_id, outcome.etag, version)

    def _not_taken(self, row: int, status: int, words: str, *, created: bool) -> _Result:
        page = self.page
        if not created and status in _NOT_THERE:
            return _Result(row, State.GONE, int(page.now[row]), version=int(page.version[row]), words=words)
        digest = int(page.created[row] if created else page.now[row])
        return _Result(row, State.REFUSED, digest, version=int(page.version[row]), words=words or str(status))

    async def _refused(self, answer: httpx.Response, transaction: Transaction) -> list[Rows]:
        """A transaction was refused as a whole: what it says is set aside, else what is found by halving."""
        status, rows, said = answer.status_code, transaction.rows, answers.refusal(answer)
        if status == httpx.codes.REQUEST_ENTITY_TOO_LARGE:
            self.pace.too_large(len(rows))
            if len(rows) > 1:
                return [rows]
            await self._set_aside(transaction, [0], status, TOO_LARGE)
            return []
        around = any(entry < transaction.around for entry in said.entries)
        changes = not all(transaction.creates)
        if status not in _OF_A_RECORD or around or (status == 404 and not changes and not said.entries):
            raise SpaceRefuses(said.words or None, space=self.client.base, status=status)
        if status in _CONFLICT and changes:
            created = np.array(transaction.creates)
            await self._look_again(rows[~created])
            return [rows[created]] if created.any() else []
        named = [entry - transaction.around for entry in said.entries if entry < transaction.entries]
        if not named and len(rows) > 1:
            return _halves(rows)
        await self._set_aside(transaction, named or [0], status, said.words)
        if not named:
            self.so_far.refused_in_a_row += 1
            if self.so_far.refused_in_a_row > limits.REFUSED_IN_A_ROW:
                raise SpaceRefuses(said.words or None, space=self.client.base, status=status)
        rest = np.delete(rows, named or [0])
        return [rest] if len(rest) else []

    async def _set_aside(
        self, transaction: Transaction, places: Sequence[int], status: int, words: str
    ) -> None:
        await self._keep(
            [
                self._not_taken(
                    int(transaction.rows[place]), status, words, created=transaction.creates[place]
                )
                for place in places
            ]
        )

    async def _look_again(self, rows: Rows) -> None:
        """Other versions are there than those known here: reads them, and the next round replaces them."""
        self._conflicts += 1
        if self._conflicts > limits.CONFLICTS:
            raise SpaceContends(space=self.client.base)
        self.again = True
        turn = asyncio.Semaphore(_READERS)

        async def look(row: int) -> _Result | None:
            async with turn:
                return await self._read(row)

        first = await self._read(int(rows[0]))  # where we may not read, one refusal is enough
        rest = rows[1:].tolist()
        found = [
            first,
            *(await asyncio.gather(*(look(row) for row in rest)) if first else [None] * len(rest)),
        ]
        await self._keep([result for result in found if result is not None], told=False)
        unread = [row for row, result in zip(rows.tolist(), found, strict=True) if result is None]
        if unread:
            await self._ask_versions(np.array(unread))

    async def _read(self, row: int) -> _Result | None:
        """What the space has of a row now; None where it does not let us read."""
        page, base = self.page, self.client.base
        try:
            answer = await self.client.request(
                "GET", f"{self.client.fhir}/Observation/{page.remote_id[row]}", headers={"Accept": FHIR_JSON}
            )
        except SpaceRefusesGateway:
            return None
        version = int(page.version[row])
        if answer.status_code in _NOT_THERE:
            words = answers.refusal(answer).words
            return _Result(row, State.GONE, int(page.now[row]), version=version, words=words)
        if not answer.is_success:
            return None
        try:
            resource = parsed(answer, base, parse_float=Decimal)
            etag = answer.headers.get("ETag") or answers.version_of(resource)
        except (ValueError, AttributeError):
            raise SpaceAnswersOddly(space=base) from None
        ours = json.loads(self.writer.rendered(page, row), parse_float=Decimal)
        same = belief.said(resource) == belief.said(ours)
        digest = int(page.now[row]) if same else UNSURE
        return _Result(row, State.TOLD, digest, page.remote_id[row], etag, version)

    async def _ask_versions(self, rows: Rows) -> None:
        """Learns versions from a conditional create, which answers what is there without showing it."""
        probe = self.writer.of_rows(self.page, rows, np.ones(len(rows), np.bool_))
        answer = await self._post(probe)
        if not answer.is_success:
            raise SpaceContends(space=self.client.base)
        found = answers.outcomes(answer, probe.entries, self.client.base)
        self._believe(probe, found)
        results = [
            _Result(row, State.TOLD, UNSURE, one.fhir_id, one.etag, int(self.page.version[row]))
            for row, one in zip(rows.tolist(), found[probe.around :], strict=True)
            if one.done
        ]
        await self._keep(results, told=False)

    async def _keep(self, results: list[_Result], *, told: bool = True) -> None:
        """Writes down what is known now, in one transaction with what was learned of the space."""
        if not results:
            return
        done = [result for result in results if result.state is State.TOLD]
        if told and done and self._suspects:  # it takes others: so it is the reading that it fails at
            suspect = self._suspects.pop()
            created = bool(np.isin(suspect, self.plan.create))
            results.append(self._not_taken(suspect, 500, FAILED_EACH_TIME, created=created))
        async with self.database.writer() as conn:
            await self._put(conn, results)
            if told and done:
                await spaces.answered(conn, self._space, _now(), self.pace.batch)
        if told:
            self.so_far.told += len(done)
            self.so_far.refused += sum(result.state is State.REFUSED for result in results)
            self.so_far.refused_in_a_row = 0 if done else self.so_far.refused_in_a_row

    async def _put(self, conn: Connection, results: Sequence[_Result]) -> None:
        rows = np.array([result.row for result in results], np.intp)
        series = self.page.series
        delivered = Delivered(
            series.recorded_at[rows],
            series.sequence[rows],
            series.ordinal[rows],
            np.array([result.state for result in results], np.int16),
            np.array([result.version for result in results], np.int32),
            np.array([result.digest for result in results], np.int64),
            [result.remote_id for result in results],
            [result.etag for result in results],
        )
        outcomes = [result.words for result in results]
        await deliveries.put(
            conn, self._space, self.device_id, delivered, series.kind[rows], _now(), outcomes
        )


def _halves(rows: Rows) -> list[Rows]:
    middle = len(rows) // 2
    return [rows[:middle], rows[middle:]]


def _now() -> datetime:
    return datetime.now(UTC)
