"""Where the properties draw their values from."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import strategies as st

from device_profiles.wire import DateTime

Raw = st.SearchStrategy[bytes]


def of_size(size: int) -> Raw:
    """So many bytes."""
    return st.binary(min_size=size, max_size=size)


def date_times() -> st.SearchStrategy[DateTime]:
    """Any date-time that may be on the wire, with unknown parts and days that do not exist."""
    return st.builds(
        DateTime,
        st.just(0) | st.integers(1582, 9999),
        st.integers(0, 12),
        st.integers(0, 31),
        st.integers(0, 23),
        st.integers(0, 59),
        st.integers(0, 59),
    )


def raw_date_times() -> st.SearchStrategy[bytes]:
    return date_times().map(DateTime.encode)


def measurements() -> st.SearchStrategy[bytes]:
    """Any bytes that are a Glucose Measurement, reserved flags and special values included."""

    def body(flags: int) -> st.SearchStrategy[bytes]:
        optional = 2 * (flags & 1) + 3 * (flags >> 1 & 1) + 2 * (flags >> 3 & 1)
        return st.tuples(
            st.just(bytes((flags,))),
            st.binary(min_size=2, max_size=2),
            raw_date_times(),
            st.binary(min_size=optional, max_size=optional),
        ).map(b"".join)

    return st.integers(0, 255).flatmap(body)


def flagged(flags_size: int, always: int, sizes: Sequence[int], moments: Sequence[int] = ()) -> Raw:
    """Bytes of a characteristic whose flags say which fields are there, reserved bits included.

    `always`: bytes that no flag announces. `sizes`: bytes that each bit announces, from bit 0; the bits of
    `moments` announce a date and time.
    """

    def body(flags: int) -> Raw:
        parts = [of_size(always)]
        for bit, size in enumerate(sizes):
            if flags >> bit & 1:
                parts.append(raw_date_times() if bit in moments else of_size(size))
        return st.tuples(*parts).map(lambda fields: flags.to_bytes(flags_size, "little") + b"".join(fields))

    return st.integers(0, (1 << 8 * flags_size) - 1).flatmap(body)


def heart_rates() -> Raw:
    """Any bytes that are a Heart Rate Measurement."""

    def body(flags: int) -> Raw:
        fixed = 1 + (flags & 1) + 2 * (flags >> 3 & 1)
        intervals = st.integers(0, 9) if flags >> 4 & 1 else st.just(0)
        return intervals.flatmap(lambda count: of_size(fixed + 2 * count)).map(
            lambda rest: bytes((flags,)) + rest
        )

    return st.integers(0, 255).flatmap(body)


def sensor_records() -> Raw:
    """Any bytes that are one record or more of a CGM Measurement, their checksums right or wrong."""

    def record(flags: int) -> Raw:
        optional = sum(size for bit, size in ((0, 2), (1, 2), (5, 1), (6, 1), (7, 1)) if flags >> bit & 1)
        return st.sampled_from((0, 2)).flatmap(
            lambda crc: of_size(4 + optional + crc).map(lambda rest: bytes((2 + len(rest), flags)) + rest)
        )

    one = st.integers(0, 255).flatmap(record)
    return st.lists(one, min_size=1, max_size=3).map(b"".join)


def contexts() -> st.SearchStrategy[bytes]:
    """Any bytes that are a Glucose Measurement Context."""
    sizes = (3, 1, 1, 3, 3, 0, 2, 1)

    def body(flags: int) -> st.SearchStrategy[bytes]:
        size = 2 + sum(size for bit, size in enumerate(sizes) if flags >> bit & 1)
        return st.binary(min_size=size, max_size=size).map(lambda rest: bytes((flags,)) + rest)

    return st.integers(0, 255).flatmap(body)


def control_messages() -> Raw:
    """Any bytes that are a message of the CGM Specific Ops Control Point, with a checksum or without."""
    sizes = {0x01: 1, 0x03: 1, 0x04: 10, 0x06: 10, 0x05: 2, 0x1C: 2}
    levels = (0x07, 0x09, 0x0A, 0x0C, 0x0D, 0x0F, 0x10, 0x12, 0x13, 0x15, 0x16, 0x18)
    sizes |= dict.fromkeys(levels, 2)

    def body(op: int) -> Raw:
        if not 1 <= op <= 0x1C:
            return st.binary(max_size=12).map(lambda rest: bytes((op,)) + rest)
        size = sizes.get(op, 0)
        return (of_size(size) | of_size(size + 2)).map(lambda rest: bytes((op,)) + rest)

    return st.integers(0, 255).flatmap(body)
