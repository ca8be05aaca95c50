from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from device_profiles.errors import MalformedMeasurement
from device_profiles.medical_float import CACHED_NUMBERS, FLOAT, SFLOAT, MedicalFloat, Special, plain
from device_profiles.wire import DateTime, Reader, Writer, crc16, with_crc, without_crc

from .strategies import date_times


def test_every_sfloat_is_written_back_as_it_was_read() -> None:
    assert all(SFLOAT.word(SFLOAT.numbers[word]) == word for word in range(1 << 16))


@given(st.binary(min_size=4, max_size=4))
def test_every_float_is_written_back_as_it_was_read(raw: bytes) -> None:
    assert FLOAT.encode(FLOAT.decode(raw)) == raw


@pytest.mark.parametrize(
    ("medical_float", "words"),
    [
        (SFLOAT, (0x07FF, 0x0800, 0x07FE, 0x0802, 0x0801)),
        (FLOAT, (0x007FFFFF, 0x00800000, 0x007FFFFE, 0x00800002, 0x00800001)),
    ],
)
def test_each_special_value_has_its_own_word(medical_float: MedicalFloat, words: tuple[int, ...]) -> None:
    specials = [medical_float.decode(word.to_bytes(medical_float.size, "little")) for word in words]
    assert specials == [
        Special.NAN,
        Special.NRES,
        Special.POSITIVE_INFINITY,
        Special.NEGATIVE_INFINITY,
        Special.RESERVED,
    ]


def test_a_special_mantissa_under_another_exponent_is_a_number() -> None:
    assert SFLOAT.decode(bytes.fromhex("FFB7")) == Decimal("0.02047")


def test_a_decimal_keeps_its_exponent() -> None:
    assert SFLOAT.decode(bytes.fromhex("B0E4")).as_tuple() == Decimal("12.00").as_tuple()  # type: ignore[union-attr]


def test_a_number_takes_another_exponent_only_where_it_stays_exact() -> None:
    assert SFLOAT.decode(SFLOAT.encode(Decimal("1.2300000000"))) == Decimal("1.23")
    assert SFLOAT.decode(SFLOAT.encode(Decimal(20500))) == Decimal(20500)


@pytest.mark.parametrize("number", ["2047", "0.123456", "1E+99999", "1E-99999", "NaN", "Infinity"])
def test_what_no_sfloat_means_exactly_is_not_written(number: str) -> None:
    with pytest.raises(ValueError, match=r"medical float|Special"):
        SFLOAT.encode(Decimal(number))


def test_the_numbers_remembered_are_bounded() -> None:
    medical_float = MedicalFloat(exponent_bits=8, mantissa_bits=24)
    for word in range(CACHED_NUMBERS + 100):
        assert medical_float.numbers[word] is not None
    assert len(medical_float.numbers) == CACHED_NUMBERS


def test_a_number_for_json_is_an_int_a_float_or_a_name() -> None:
    shown = [plain(SFLOAT.decode(bytes.fromhex(raw))) for raw in ("7200", "72F0", "0208")]
    assert shown == [114, 11.4, "-INF"]
    assert [type(each) for each in shown] == [int, float, str]


@given(date_times())
def test_a_date_time_is_read_back_as_written(moment: DateTime) -> None:
    assert DateTime.decode(moment.encode()) == moment


@pytest.mark.parametrize(
    "raw",
    [
        "E6070D01000000",
        "E6070120000000",
        "E6070101180000",
        "E60701010 03C00".replace(" ", ""),
        "E607010100003C",
        "2D060101000000",
        "10270101000000",
    ],
    ids=["month 13", "day 32", "24 h", "60 min", "60 s", "year 1581", "year 10000"],
)
def test_a_part_out_of_its_range_is_refused(raw: str) -> None:
    with pytest.raises(MalformedMeasurement) as refused:
        DateTime.decode(bytes.fromhex(raw))
    assert refused.value.reason == "invalid_value"


def test_a_date_that_is_unknown_or_does_not_exist_is_no_moment() -> None:
    assert DateTime(0, 0, 0, 18, 26, 32).as_if_utc() is None
    assert DateTime(2023, 0, 5, 8, 0, 0).as_if_utc() is None
    assert DateTime(2023, 2, 30, 8, 0, 0).as_if_utc() is None
    assert DateTime(2024, 2, 29, 8, 0, 0).as_if_utc() == datetime(2024, 2, 29, 8, tzinfo=UTC)


@pytest.mark.parametrize("moment", [DateTime(2024, 13, 1, 0, 0, 0), DateTime(2024, 1, 1, 0, 0, -1)])
def test_what_is_no_date_and_time_is_not_written(moment: DateTime) -> None:
    with pytest.raises(ValueError, match="no date and time"):
        moment.encode()


def test_a_datetime_gives_its_parts() -> None:
    assert DateTime.of(datetime(2024, 2, 29, 8, 1, 2, tzinfo=UTC)) == DateTime(2024, 2, 29, 8, 1, 2)


@given(st.integers(1, 6), st.data())
def test_integers_of_one_to_six_bytes_are_read_back(size: int, data: st.DataObject) -> None:
    unsigned = data.draw(st.integers(0, (1 << 8 * size) - 1))
    signed = data.draw(st.integers(-(1 << 8 * size - 1), (1 << 8 * size - 1) - 1))
    reader = Reader(Writer().unsigned(unsigned, size).signed(signed, size).done())
    assert (reader.unsigned(size), reader.signed(size)) == (unsigned, signed)
    reader.end()


def test_the_named_fields_have_their_sizes() -> None:
    written = (
        Writer().uint8(1).uint16(2).uint24(3).uint32(4).uint40(5).uint48(6).int8(-1).int16(-2).nibbles(3, 4)
    )
    written.sfloat(Decimal("1.5")).float32(Special.NAN).date_time(DateTime(2024, 1, 2, 3, 4, 5)).put(b"rest")
    reader = Reader(written.done())
    assert [reader.uint8(), reader.uint16(), reader.uint24(), reader.uint32()] == [1, 2, 3, 4]
    assert [reader.uint40(), reader.uint48(), reader.int8(), reader.int16()] == [5, 6, -1, -2]
    assert reader.nibbles() == (3, 4)
    assert (reader.sfloat(), reader.float32()) == (Decimal("1.5"), Special.NAN)
    assert reader.date_time() == DateTime(2024, 1, 2, 3, 4, 5)
    assert (reader.remaining, reader.rest(), reader.remaining) == (4, b"rest", 0)


@pytest.mark.parametrize("value", [256, -1])
def test_an_integer_that_does_not_fit_is_not_written(value: int) -> None:
    with pytest.raises(ValueError, match="does not fit"):
        Writer().uint8(value)


def test_a_nibble_holds_four_bits() -> None:
    with pytest.raises(ValueError, match="nibble"):
        Writer().nibbles(16, 0)


def test_a_reader_never_goes_beyond_its_bytes() -> None:
    reader = Reader(b"\x01")
    with pytest.raises(MalformedMeasurement) as refused:
        reader.uint16()
    assert refused.value.reason == "too_short"


def test_bytes_left_over_are_refused() -> None:
    with pytest.raises(MalformedMeasurement) as refused:
        Reader(b"\x01").end()
    assert refused.value.reason == "trailing_bytes"


@given(st.binary())
def test_a_body_comes_back_from_behind_its_crc(body: bytes) -> None:
    assert without_crc(with_crc(body)) == body


@given(st.binary(), st.integers(0), st.integers(0, 7))
def test_a_flipped_bit_is_seen_by_the_crc(body: bytes, position: int, bit: int) -> None:
    damaged = bytearray(with_crc(body))
    damaged[position % len(damaged)] ^= 1 << bit
    with pytest.raises(MalformedMeasurement) as refused:
        without_crc(bytes(damaged))
    assert refused.value.reason == "invalid_crc"


def test_a_crc_needs_two_bytes() -> None:
    with pytest.raises(MalformedMeasurement) as refused:
        without_crc(b"\x01")
    assert refused.value.reason == "too_short"
    assert crc16(b"123456789") == 0x6F91
