"""The virtual device: what it offers, what it sends, what can go wrong on demand."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta, timezone

import pytest

from device_profiles.devices import accu_chek_guide, glucose_meter
from device_profiles.errors import MalformedMeasurement
from device_profiles.procedures.record_access import (
    CCCD_IMPROPERLY_CONFIGURED,
    PROCEDURE_ALREADY_IN_PROGRESS,
    Collector,
    Completed,
    all_records,
    from_sequence,
    from_time,
)
from device_profiles.services.device_information import DeviceInformation, SystemId
from device_profiles.virtual_device import (
    AttributeRefused,
    Disconnect,
    Effect,
    Faults,
    Indicate,
    Notify,
    Record,
    Silence,
    VirtualDevice,
    generated_records,
)
from device_profiles.wire import DateTime

METER = glucose_meter.PROFILE
MEASUREMENT, CONTEXT, CONTROL_POINT = 0x2A18, 0x2A34, 0x2A52
RECORDS = generated_records(30, first_sequence=5, start=DateTime(2025, 3, 1, 0, 0, 0), seed=1)
WITH_CONTEXT = next(at for at, record in enumerate(RECORDS) if record.context is not None)
SUMMER = timezone(timedelta(hours=2))


def subscribed(device: VirtualDevice) -> VirtualDevice:
    device.subscribe(MEASUREMENT, 1)
    device.subscribe(CONTEXT, 1)
    device.subscribe(CONTROL_POINT, 2)
    return device


def meter(records: Sequence[Record] = RECORDS, faults: Faults = Faults()) -> VirtualDevice:  # noqa: B008
    return subscribed(VirtualDevice(METER, records, faults=faults))


def full_read(device: VirtualDevice) -> list[Effect]:
    return list(device.write(CONTROL_POINT, b"\x01\x01"))


def frames(records: Sequence[Record]) -> list[Effect]:
    effects: list[Effect] = []
    for record in records:
        effects.append(Notify(MEASUREMENT, record.measurement))
        if record.context is not None:
            effects.append(Notify(CONTEXT, record.context))
    return effects


DONE = Indicate(CONTROL_POINT, bytes.fromhex("06000101"))


def test_a_full_read_gives_each_record_with_its_context_and_then_the_answer() -> None:
    assert full_read(meter()) == [*frames(RECORDS), DONE]


def test_an_incremental_read_gives_only_what_is_new() -> None:
    device, collector = meter(), Collector()
    newer = list(device.write(CONTROL_POINT, collector.report(from_sequence(30))))
    assert newer == [*frames(RECORDS[25:]), DONE]
    assert collector.receive(DONE.value) == Completed(records_found=True)


def test_a_new_measurement_is_the_only_one_of_the_next_incremental_read() -> None:
    device = meter(RECORDS[:-1])
    device.add(RECORDS[-1])
    assert list(device.write(CONTROL_POINT, Collector().report(from_sequence(34)))) == [
        *frames(RECORDS[-1:]),
        DONE,
    ]
    assert len(device) == len(RECORDS)


def test_a_request_by_time_goes_by_what_the_meter_showed() -> None:
    records = generated_records(3, start=DateTime(2025, 3, 1, 0, 0, 0), time_offset_min=24 * 60)
    shown = METER.reading(records[0].measurement).device_time
    assert shown is not None
    next_day = shown.base._replace(day=shown.base.day + 1)
    answers = list(meter(records).write(CONTROL_POINT, Collector().report(from_time(next_day))))
    assert answers == [*frames(records), DONE]


def test_without_contexts_subscribed_none_is_sent() -> None:
    device = meter()
    device.subscribe(CONTEXT, 0)
    assert full_read(device) == [*(Notify(MEASUREMENT, record.measurement) for record in RECORDS), DONE]


def test_a_request_before_subscribing_is_refused_and_again_after_the_link_was_lost() -> None:
    device = VirtualDevice(METER, RECORDS)
    for _ in range(2):
        with pytest.raises(AttributeRefused) as refused:
            full_read(device)
        assert refused.value.code == CCCD_IMPROPERLY_CONFIGURED
        subscribed(device)
        assert full_read(device)[-1] == DONE
        device.disconnected()


def test_the_table_of_the_standard_meter() -> None:
    device = VirtualDevice(
        METER, information=DeviceInformation(serial="42"), clock=lambda: datetime(2025, 6, 1, tzinfo=SUMMER)
    )
    table = {service.uuid: service.characteristics for service in device.gatt_table()}
    assert {uuid: [each.uuid for each in declared] for uuid, declared in table.items()} == {
        0x1808: [0x2A18, 0x2A34, 0x2A51, 0x2A52],
        0x1805: [0x2A2B],
        0x180A: [0x2A25],
        0x180F: [0x2A19],
    }
    properties = {each.uuid: each.properties for each in table[0x1808]}
    assert properties == {
        0x2A18: {"notify"},
        0x2A34: {"notify"},
        0x2A51: {"read"},
        0x2A52: {"write", "indicate"},
    }
    assert all(each.protected for each in table[0x1808])
    assert not any(each.protected for uuid in (0x1805, 0x180A, 0x180F) for each in table[uuid])


def test_the_accu_chek_shows_its_clock_in_the_glucose_service() -> None:
    device = VirtualDevice(
        accu_chek_guide.PROFILE,
        clock=lambda: datetime(2025, 6, 1, 12, 30, tzinfo=SUMMER),
        faults=Faults(clock_error_seconds=-90),
    )
    (glucose_service,) = device.gatt_table()
    assert [each.uuid for each in glucose_service.characteristics][-1] == 0x2A08
    assert DateTime.decode(device.read(0x2A08)) == DateTime(2025, 6, 1, 12, 28, 30)
    assert device.name == "meter+00000000"


def test_what_can_be_read_is_read_and_nothing_else() -> None:
    device = VirtualDevice(
        METER,
        information=DeviceInformation(manufacturer="Acme", system_id=SystemId(1, 2)),
        clock=lambda: datetime(2025, 6, 1, 12, 30, tzinfo=SUMMER),
        battery_percent=55,
    )
    assert device.read(0x2A29) == b"Acme"
    assert device.read(0x2A23) == bytes.fromhex("0100000000020000")
    assert device.read(0x2A19) == b"\x37"
    assert METER.clock_time(device.read(0x2A2B)) == DateTime(2025, 6, 1, 12, 30, 0)
    for uuid in (MEASUREMENT, 0x2A25, 0x2A00):
        with pytest.raises(AttributeRefused):
            device.read(uuid)
    with pytest.raises(AttributeRefused):
        device.write(0x2A19, b"\x00")


@pytest.mark.parametrize("after", [0, 1, 17, 29, 30])
def test_disconnect_after_k_records(after: int) -> None:
    device = meter(faults=Faults(disconnect_after=after))
    assert full_read(device) == [*frames(RECORDS[:after]), Disconnect()]
    device.faults = Faults()
    assert full_read(subscribed(device))[-1] == DONE


def test_silent_control_point() -> None:
    device = meter(faults=Faults(silent_control_point=True))
    assert full_read(device) == [Silence()]
    with pytest.raises(AttributeRefused) as refused:
        full_read(device)
    assert refused.value.code == PROCEDURE_ALREADY_IN_PROGRESS


@pytest.mark.parametrize(
    ("faults", "reason"),
    [
        (Faults(malformed=3), "invalid_value"),
        (Faults(truncated=3), "too_short"),
        (Faults(overlong=3), "trailing_bytes"),
    ],
)
def test_one_damaged_record(faults: Faults, reason: str) -> None:
    received = [
        effect.value
        for effect in full_read(meter(faults=faults))
        if isinstance(effect, Notify) and effect.characteristic == MEASUREMENT
    ]
    assert len(received) == len(RECORDS)
    refusals = {}
    for number, raw in enumerate(received, 1):
        try:
            METER.reading(raw)
        except MalformedMeasurement as refused:
            refusals[number] = refused.reason
    assert refusals == {3: reason}


def test_duplicate() -> None:
    sent = full_read(meter(faults=Faults(duplicate=True)))
    assert sent == [effect for frame in frames(RECORDS) for effect in (frame, frame)] + [DONE]


def test_late_context() -> None:
    sent = full_read(meter(faults=Faults(late_context=True)))
    answered = sent.index(DONE)
    assert all(
        isinstance(effect, Notify) and effect.characteristic == CONTEXT for effect in sent[answered + 1 :]
    )
    assert sorted(map(repr, sent)) == sorted(map(repr, full_read(meter())))


def test_no_context() -> None:
    sent = full_read(meter(faults=Faults(no_context=True)))
    assert sent == [*(Notify(MEASUREMENT, record.measurement) for record in RECORDS), DONE]
    assert METER.reading(RECORDS[WITH_CONTEXT].measurement).raw[0] & 1 << 4


def test_a_link_lost_in_the_middle_ends_what_is_being_sent() -> None:
    device = meter()
    sending = device.write(CONTROL_POINT, Collector().report(all_records()))
    next(sending)
    device.disconnected()
    assert list(sending) == []


def test_a_record_that_cannot_be_read_is_kept_and_sent_as_it_is() -> None:
    assert full_read(meter([Record(1, b"\x0b\x01")])) == [Notify(MEASUREMENT, b"\x0b\x01"), DONE]
