"""Every fault of a meter: what the person is told, what is stored, and what the next try does.

The table in docs/faults.md is what these tests give: `WRITE_DOCS=1 pytest tests/gateway/test_faults.py`
writes it anew, and otherwise it must be as it is.
"""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import pytest

from device_profiles.errors import DeviceError
from device_profiles.virtual_device import NO_FAULTS, Record
from gateway.ble.errors import ConnectionLost
from gateway.storing import Storing
from gateway.sync import SyncOutcome, sync, sync_connected
from storage import devices
from storage.devices import ClockPolicy
from tests.gateway.ble.bench import START, Bench, bench, meter
from tests.gateway.test_sync import record, sequences
from tests.gateway.thin_link import BRIEF, thin_link

TABLE = Path(__file__).parents[2] / "docs" / "faults.md"
HEAD = """# What can go wrong with a meter, and what happens then

Made by `tests/gateway/test_faults.py` over a real GATT link to a virtual meter, which holds four records (and
one more where the fault is in the second read); `WRITE_DOCS=1` writes it anew, and a test fails where it is
not so. *Told*: the sentence that the person reads. *Stored*: how many of the records that read brought are in
the database after it. *The next try*, when the fault is over: how many more it stores, and whether the store
then holds exactly what the meter holds, each record once.

| What goes wrong | Told | Stored | The next try |
|---|---|---|---|
"""


@dataclass(frozen=True)
class Fault:
    """What goes wrong, in words; the faults of the virtual meter; whether in a second, incremental read."""

    title: str
    faults: dict[str, int]
    later: bool = False


FAULTS = [
    Fault("nothing", {}),
    Fault("the link drops before the first record", {"disconnect_after": 0}),
    Fault("the link drops after two records", {"disconnect_after": 2}),
    Fault("the link drops after the last record, before the answer", {"disconnect_after": 4}),
    Fault(
        "the newest comes first, and the link drops after it",
        {"newest_first": 1, "disconnect_after": 1},
    ),
    Fault("the meter does not answer the request for records", {"silent_control_point": 1}),
    Fault("the meter falls silent after two records", {"silent_after": 2}),
    Fault("the meter ends the procedure after two records", {"abort_after": 2}),
    Fault("the meter is still busy with an earlier request", {"busy": 1}),
    Fault("the answer that ends the procedure is cut short", {"garbled_answer": 1}),
    Fault("the second record has an impossible date", {"malformed": 2}),
    Fault("the second record is cut short", {"truncated": 2}),
    Fault("the second record is too long", {"overlong": 2}),
    Fault("each record comes twice", {"duplicate": 1}),
    Fault("contexts come after the answer", {"late_context": 1}),
    Fault("contexts are announced and never come", {"no_context": 1}),
    Fault("the meter is slow", {"slow_seconds": 0.02}),
    Fault("the meter does not know requests from a number on", {"no_incremental": 1}, later=True),
    Fault("asked from a number on, the meter says: nothing", {"empty_incremental": 1}, later=True),
    Fault("the meter sends everything, whatever it is asked for", {"ignored_filter": 1}, later=True),
    Fault(
        "the meter says that its clock was set, and left it as it was",
        {"clock_write_ignored": 1, "clock_error_seconds": 3600},
        later=True,
    ),
]


class Row(NamedTuple):
    """A row of the table."""

    title: str
    told: str
    stored: int | str
    then: int | str

    def __str__(self) -> str:
        return f"| {self.title} | {self.told} | {self.stored} | {self.then} more, then complete |"


ROWS: dict[str, Row] = {}


def held(count: int = 4) -> list[Record]:
    return [record(n, START._replace(day=n), context_follows=True) for n in range(1, count + 1)]


def with_contexts(records: list[Record]) -> list[Record]:
    """Each record with the context that it announces."""
    contexts = (bytes([0x02, *each.measurement[1:3], 1]) for each in records)
    return [each._replace(context=context) for each, context in zip(records, contexts, strict=True)]


@pytest.fixture
def storing(database, patient) -> Storing:
    return Storing(database, patient)


async def once(at: Bench, storing: Storing) -> SyncOutcome:
    async with at.radio() as radio:
        return await sync(radio, at.is_first, storing, passkey=at.read_display)


async def told_by(read: Callable[[], Awaitable[SyncOutcome]]) -> str:
    """The sentence that a read ends with."""
    try:
        outcome = await read()
    except DeviceError as error:
        return str(error)
    aside = [
        f" Record {each.line} could not be read ({each.reason}); it is kept aside."
        for each in outcome.refused
    ]
    clock = f" Its clock: {outcome.set_clock.outcome}." if outcome.set_clock.tried else ""
    said = f"{outcome.stored} readings stored, {outcome.known} were already there."
    return "".join([said, *aside, clock])


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.title)
async def test_after_a_fault_the_next_sync_completes(tmp_path, storing, fault):
    records = with_contexts(held(5 if fault.later else 4))
    async with bench(tmp_path, meter(records[:4])) as at:
        if fault.later:
            first = await once(at, storing)
            at.peripheral.virtual.add(records[4])
            if "clock_write_ignored" in fault.faults:
                async with storing.database.writer() as conn:
                    await devices.allow_setting(conn, first.device, ClockPolicy.TELL, asked=True)
        before = len(await sequences(storing))
        at.fault(**fault.faults)
        told = await told_by(lambda: once(at, storing))
        after = await sequences(storing)
        at.fault()
        await once(at, storing)
    complete = await sequences(storing)
    assert complete == [each.sequence for each in records]
    assert await contexts_of(storing) == [each.context for each in records]
    ROWS[fault.title] = Row(fault.title, told, len(after) - before, len(complete) - len(after))


async def contexts_of(storing: Storing) -> list[bytes]:
    async with storing.database.writer() as conn:
        rows = await conn.execute(
            "SELECT raw FROM passerelle.reading_context WHERE patient_id = %s ORDER BY sequence",
            (storing.patient.patient_id,),
        )
        return [row[0] for row in await rows.fetchall()]


async def test_a_passkey_that_is_refused_and_a_bond_that_is_lost(tmp_path, storing):
    async with bench(tmp_path, meter(with_contexts(held()))) as at:
        at.fault(refuse_passkey=1)
        refused = await told_by(lambda: once(at, storing))
        at.fault()
        assert (await once(at, storing)).stored == 4
        await at.peripheral.forget()

        async def without_passkey() -> SyncOutcome:
            async with at.radio() as radio:
                return await sync(radio, at.is_first, storing)

        lost = await told_by(without_passkey)
        await once(at, storing)
    assert await sequences(storing) == [1, 2, 3, 4]
    ROWS["passkey"] = Row("the meter refuses the passkey", refused, 0, 4)
    ROWS["bond"] = Row("the meter has forgotten the bond", lost, 0, 0)


async def test_a_link_that_drops_at_any_message_loses_nothing(storing):
    """At each of them: what is read, subscribed to, written, notified, indicated."""
    records = with_contexts(held())
    stored_at_once = []
    message = 1
    while True:
        held_by = meter(records, serial=f"SN-{message}", protected=False, disconnect_at=message)
        before = len(await sequences(storing))
        completed = False
        with suppress(ConnectionLost):
            async with thin_link(held_by, BRIEF) as connection:
                await sync_connected(connection, storing)
            completed = True
        if completed:
            break
        stored_at_once.append(len(await sequences(storing)) - before)
        held_by.faults = NO_FAULTS
        async with thin_link(held_by) as connection:
            await sync_connected(connection, storing)
        assert await sequences(storing) == sorted([1, 2, 3, 4] * message)
        assert len(await contexts_of(storing)) == 4 * message
        message += 1
    assert stored_at_once == sorted(stored_at_once)
    title = f"the link drops at any of the {message - 1} messages of a read: each was tried"
    ROWS["messages"] = Row(title, str(ConnectionLost()), "0 to 4", "the rest")


def test_the_table_in_the_docs_is_what_the_tests_give():
    if len(ROWS) < len(FAULTS) + 3:
        pytest.skip("only after the other tests of this file")
    table = HEAD + "".join(f"{row}\n" for row in ROWS.values())
    if os.environ.get("WRITE_DOCS"):
        TABLE.write_text(table)
    assert TABLE.read_text() == table
