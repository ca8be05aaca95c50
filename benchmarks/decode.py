"""Decoding glucose measurements, through the `decode` that everyone calls.

Beside it, in the same run and on the same bytes: bluetooth-sig 0.6.0 (whose values are wrong: it treats the
exponent as biased; here only its time counts), and a bare `struct.unpack` into a tuple.
"""

from __future__ import annotations

import statistics
import struct
import time
from collections.abc import Callable
from decimal import Decimal

from bluetooth_sig.gatt.characteristics import GlucoseMeasurementCharacteristic

from benchmarks.table import Row, print_table
from device_profiles.services.glucose import GlucoseMeasurement
from device_profiles.virtual_records import generated_records
from device_profiles.wire import DateTime

RECORDS = 2_000
ROUNDS = 15


def _per_record(decode: Callable[[bytes], object], records: list[bytes]) -> float:
    """Nanoseconds for one record."""
    start = time.perf_counter_ns()
    for record in records:
        decode(record)
    return (time.perf_counter_ns() - start) / len(records)


def _bare(raw: bytes) -> tuple[int, ...]:
    return tuple(struct.unpack("<BHHBBBBBhHBH", raw))


def run() -> list[Row]:
    generated = generated_records(RECORDS, start=DateTime(2025, 1, 1, 0, 0, 0))
    decoded = [(record.measurement, GlucoseMeasurement.decode(record.measurement)) for record in generated]
    # bluetooth-sig refuses LO; what all of them can decode is compared.
    records = [raw for raw, measurement in decoded if isinstance(measurement.concentration, Decimal)]
    as_sent = [bytearray(record) for record in records]  # the form that bluetooth-sig takes
    characteristic = GlucoseMeasurementCharacteristic()
    ours, theirs, bare = [], [], []
    for _ in range(ROUNDS):
        ours.append(_per_record(GlucoseMeasurement.decode, records))
        theirs.append(_per_record(characteristic.parse_value, as_sent))  # type: ignore[arg-type]
        bare.append(_per_record(_bare, records))
    mine, peer, floor = statistics.median(ours), statistics.median(theirs), statistics.median(bare)
    rate = f"{1e6 / mine:.0f} k records/s"
    return [
        Row(
            "decode, beside bluetooth-sig",
            f"{peer / mine:.1f} × its speed ({rate})",
            ">= 5 ×",
            peer >= 5 * mine,
        ),
        Row(
            "decode, beside struct.unpack + tuple",
            f"{mine / floor:.1f} × its time ({mine:.0f} ns)",
            "<= 10 ×",
            mine <= 10 * floor,
        ),
    ]


if __name__ == "__main__":
    print_table(run())
