"""Fetching records: whatever a meter does, what has arrived is kept and the wait ends."""

from __future__ import annotations

import pytest

from device_profiles.procedures.record_access import (
    RecordAccessRefused,
    all_records,
    from_sequence,
    last_record,
    within_sequences,
)
from device_profiles.services.glucose import MEASUREMENT
from device_profiles.virtual_device import generated_records
from gateway.ble.errors import ConnectionLost, ControlPointSilent
from gateway.ble.records import RecordReader
from tests.gateway.ble.bench import START, bench, meter

SMALL = 4


def measurements(reader: RecordReader) -> list[int]:
    """The sequence numbers that arrived."""
    return [reading.identity.sequence for reading in reader.arrived.readings]


async def test_only_what_is_new_is_fetched(tmp_path):
    async with bench(tmp_path, meter(6)) as at, at.connected() as connection:
        reader = RecordReader(connection)
        await reader.subscribe()
        assert await reader.fetch(from_sequence(4))
        assert measurements(reader) == [4, 5, 6]
        assert not await reader.fetch(from_sequence(7))
        assert await reader.fetch(last_record())
        assert measurements(reader) == [4, 5, 6, 6]


async def test_progress_is_told_with_each_measurement(tmp_path):
    told = []
    async with bench(tmp_path, meter(3)) as at, at.connected() as connection:
        reader = RecordReader(connection, told.append)
        await reader.subscribe()
        await reader.fetch(all_records())
    assert told == [1, 2, 3]


@pytest.mark.parametrize("k", range(SMALL + 1))
async def test_a_meter_that_leaves_after_k_records_leaves_k_records(tmp_path, k):
    async with bench(tmp_path, meter(SMALL, disconnect_after=k)) as at:
        async with at.connected() as connection:
            reader = RecordReader(connection)
            await reader.subscribe()
            with pytest.raises(ConnectionLost):
                await reader.fetch(all_records())
        assert measurements(reader) == list(range(1, k + 1))
        at.fault()
        async with at.connected(None) as connection:
            again = RecordReader(connection)
            await again.subscribe()
            assert await again.fetch(from_sequence(k + 1)) is (k < SMALL)
        assert measurements(again) == list(range(k + 1, SMALL + 1))


async def test_a_control_point_that_never_answers_is_waited_for_no_longer_than_its_limit(tmp_path):
    async with bench(tmp_path, meter(silent_control_point=True)) as at, at.connected() as connection:
        reader = RecordReader(connection)
        await reader.subscribe()
        with pytest.raises(ControlPointSilent):
            await reader.fetch(all_records())


async def test_contexts_that_come_late_are_waited_for(tmp_path):
    async with bench(tmp_path, meter(12, late_context=True)) as at, at.connected() as connection:
        reader = RecordReader(connection)
        await reader.subscribe()
        await reader.fetch(all_records())
        assert reader.arrived.expected_contexts
        await reader.wait_for_contexts()
        assert not reader.arrived.expected_contexts
    contexts = [reading for reading in reader.arrived.readings if reading.context is not None]
    assert len(contexts) == sum(record.context is not None for record in generated_records(12, start=START))


async def test_contexts_that_never_come_stop_nothing(tmp_path):
    async with bench(tmp_path, meter(12, no_context=True)) as at, at.connected() as connection:
        reader = RecordReader(connection)
        await reader.subscribe()
        await reader.fetch(all_records())
        await reader.wait_for_contexts()
    assert len(measurements(reader)) == 12


async def test_a_frame_longer_than_any_measurement_arrives_whole(tmp_path):
    async with bench(tmp_path, meter(2)) as at, at.connected() as connection:
        reader = RecordReader(connection)
        await reader.subscribe()
        await at.peripheral.notify(MEASUREMENT, bytes(300))
        await reader.fetch(all_records())
    (refused,) = reader.arrived.refused
    assert (len(refused.raw), refused.position, refused.reason) == (300, 1, "trailing_bytes")


async def test_an_error_of_the_control_point_is_told(tmp_path):
    async with bench(tmp_path, meter(2)) as at, at.connected() as connection:
        reader = RecordReader(connection)
        await reader.subscribe()
        with pytest.raises(RecordAccessRefused):
            await reader.fetch(within_sequences(5, 1))
        assert await reader.fetch(all_records())
