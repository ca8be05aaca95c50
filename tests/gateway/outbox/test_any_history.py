"""Whatever was stored, said, taken back, corrected and erased, and however the space failed meanwhile.

When it stops failing it shows what the home holds, each reading once, at its latest version.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from storage import annotations, erasure
from storage.annotations import Annotation, AnnotationKind
from storage.devices import StoredDevice
from tests import servers
from tests.gateway.outbox.homes import Fed, fed, key_of, shown
from tests.gateway.outbox.hostile import FAULTS, HostileSpace
from tests.storage.samples import glucose, meal, new_device, segment, store

MOST = 24
"""Readings of a device."""

FIRST, SECOND = 0, 1

Steps = list[tuple[object, ...]]

numbers = st.integers(0, MOST - 1)
devices = st.sampled_from((FIRST, SECOND))
kinds = st.sampled_from((AnnotationKind.NOTE, AnnotationKind.EXCLUDED, AnnotationKind.NOT_MINE))
steps = st.lists(
    st.one_of(
        st.tuples(st.just("store"), devices, numbers, numbers),
        st.tuples(st.just("say"), devices, numbers, kinds),
        st.tuples(st.just("take back"), numbers),
        st.tuples(st.just("context"), devices, numbers),
        st.tuples(st.just("retime"), devices, st.sampled_from((0, -3600, 7200))),
        st.tuples(st.just("erase"), devices, numbers),
        st.tuples(st.just("feed"), st.lists(st.one_of(st.none(), st.sampled_from(FAULTS)), max_size=4)),
    ),
    min_size=4,
    max_size=16,
)
servers_made = st.builds(
    HostileSpace,
    most_entries=st.sampled_from((4, 9, 1000)),
    readable=st.booleans(),
    names_entries=st.booleans(),
)


@dataclass
class History:
    """The steps of one example, done."""

    home: Fed
    server: HostileSpace
    meters: tuple[StoredDevice, StoredDevice]
    shifts: dict[int, int] = field(default_factory=lambda: {FIRST: 0, SECOND: 0})
    stored: dict[int, set[int]] = field(default_factory=lambda: {FIRST: set(), SECOND: set()})
    said: list[Annotation] = field(default_factory=list)
    erased: set[UUID] = field(default_factory=set)

    async def do(self, step: tuple[object, ...]) -> None:
        await getattr(self, "_" + str(step[0]).replace(" ", "_"))(*step[1:])

    async def _store(self, which: int, first: int, last: int) -> None:
        chosen = range(min(first, last), max(first, last) + 1)
        self.stored[which] |= set(chosen)
        await self._place(which, [glucose(number, str(60 + number)) for number in chosen])

    async def _place(self, which: int, batch: list[object]) -> None:
        every = [glucose(number) for number in sorted(self.stored[which])]
        if every:
            await store(
                self.home.database,
                self.meters[which],
                batch,  # type: ignore[arg-type]
                segment(every, shift_seconds=self.shifts[which]),
            )

    async def _context(self, which: int, number: int) -> None:
        if number in self.stored[which]:
            await self._place(which, [glucose(number, str(60 + number), context=meal(1 + number % 3))])

    async def _retime(self, which: int, shift: int) -> None:
        self.shifts[which] = shift
        await self._place(which, [])

    async def _say(self, which: int, number: int, kind: AnnotationKind) -> None:
        key = key_of(self.meters[which], number)
        if number in self.stored[which]:
            self.said.append(await self.home.say(key, kind, f"note {len(self.said)}"))

    async def _take_back(self, which: int) -> None:
        if self.said:
            said = self.said.pop(which % len(self.said))
            async with self.home.database.writer() as conn:
                await annotations.withdraw(conn, self.home.patient.patient_id, said)

    async def _erase(self, which: int, number: int) -> None:
        if number not in self.stored[which]:
            return
        key = key_of(self.meters[which], number)
        self.said = [one for one in self.said if one.key != key]
        self.stored[which].discard(number)
        async with self.home.database.writer() as conn:
            await erasure.erase_records(conn, self.home.patient.patient_id, [key])
            await erasure.allow_again(conn, self.home.patient.patient_id, key.device_id)

    async def _feed(self, faults: list[str | None]) -> None:
        self.server.faults = deque(faults)
        await self.home.try_to_feed()


async def holds(done: Steps, server: HostileSpace, home_folder: Path, folder: Path) -> None:
    async with servers.opened(home_folder) as database, fed(database, folder, server) as home:
        history = History(home, server, (home.device, await new_device(database, home.patient)))
        for step in done:
            await history.do(step)
        server.faults.clear()
        for _ in range(4):
            problem = await home.try_to_feed()
            if problem is None:
                break
        assert problem is None
        assert shown(server) == await home.expected(history.meters)
        assert (await home.feed()).told == 0
        async with database.writer() as conn:
            receipts = await erasure.receipts.list_all(conn, home.patient.patient_id)
        assert all(at.told_at is not None for receipt in receipts for at in receipt.spaces)


@pytest.mark.usefixtures("no_pauses")
@pytest.mark.timeout(300)
@settings(
    max_examples=20,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(done=steps, server=servers_made)
def test_when_it_stops_failing_the_space_holds_what_the_home_holds(
    database_home: Path, done: Steps, server: HostileSpace
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(holds(done, server, database_home, Path(folder)))
