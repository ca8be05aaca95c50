"""Where the properties draw their values from."""

from __future__ import annotations

from hypothesis import strategies as st

from device_profiles.wire import DateTime


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


def contexts() -> st.SearchStrategy[bytes]:
    """Any bytes that are a Glucose Measurement Context."""
    sizes = (3, 1, 1, 3, 3, 0, 2, 1)

    def body(flags: int) -> st.SearchStrategy[bytes]:
        size = 2 + sum(size for bit, size in enumerate(sizes) if flags >> bit & 1)
        return st.binary(min_size=size, max_size=size).map(lambda rest: bytes((flags,)) + rest)

    return st.integers(0, 255).flatmap(body)
