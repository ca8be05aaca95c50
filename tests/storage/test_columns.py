"""Numbers, times and days on their way into columns and back: exact, and typed errors beyond."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from importlib.resources import files
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import storage
from device_profiles.reading import Measurand, Quantity
from gateway import archive_files
from storage import clock_segments
from storage.columns import Numbers, microseconds, moment
from storage.days import MICROSECONDS_A_DAY, day_begins, day_date, local_days
from storage.errors import ValueNotStorable
from storage.statements import statements

MOMENTS = st.integers(-8_520_336_000, 8_520_336_000).map(lambda second: datetime.fromtimestamp(second, UTC))
"""From 1700 to 2239."""

ZONES = st.sampled_from(
    ["Europe/Paris", "Australia/Lord_Howe", "America/St_Johns", "Pacific/Apia", "UTC"]
).map(ZoneInfo)


def stored(value: Decimal) -> tuple[int, int]:
    numbers = Numbers.of([Quantity(Measurand.GLUCOSE, value, "mg/dL")])
    return int(numbers.mantissa[0]), int(numbers.exponent[0])


@given(st.integers(-(2**31) + 1, 2**31 - 1), st.integers(-128, 127))
def test_a_decimal_number_is_stored_digit_by_digit(mantissa: int, exponent: int) -> None:
    value = Decimal(mantissa).scaleb(exponent)
    assert Decimal(stored(value)[0]).scaleb(stored(value)[1]).as_tuple() == value.as_tuple()


def test_equal_numbers_written_otherwise_are_kept_apart() -> None:
    five = [stored(Decimal(text)) for text in ("5.5", "5.50")]
    assert five == [(55, -1), (550, -2)]
    assert stored(Decimal("6.500000000000")) == (65, -1)


@pytest.mark.parametrize(
    "value", [Decimal("NaN"), Decimal("Infinity"), Decimal("1.23456789012"), Decimal("1E+200")]
)
def test_what_is_no_number_of_a_device_is_refused(value: Decimal) -> None:
    with pytest.raises(ValueNotStorable):
        stored(value)


@given(MOMENTS, st.integers(0, 999_999))
def test_a_moment_comes_back_to_the_microsecond(time: datetime, microsecond: int) -> None:
    exact = time.replace(microsecond=microsecond)
    assert moment(int(microseconds([exact])[0])) == exact


@pytest.mark.parametrize("time", [datetime.min, datetime.max])  # noqa: DTZ901 - a zone is given below
def test_the_ends_of_the_calendar_are_days_too(time: datetime) -> None:
    zoned = time.replace(tzinfo=UTC, microsecond=0)
    times = microseconds([zoned])
    assert moment(int(times[0])) == zoned
    for zone in ("Pacific/Apia", "America/St_Johns"):
        assert abs((day_date(int(local_days(times, ZoneInfo(zone))[0])) - zoned.date()).days) <= 3


@given(st.lists(MOMENTS, min_size=1, max_size=20), ZONES)
def test_a_local_day_is_the_calendar_s(times: list[datetime], zone: ZoneInfo) -> None:
    days = local_days(microseconds(times), zone).tolist()
    for time, day in zip(times, days, strict=True):
        assert day_date(day) == time.astimezone(zone).date()


@given(st.dates(date(1950, 1, 1), date(2080, 1, 1)), ZONES)
def test_a_day_begins_where_the_one_before_ends(day: date, zone: ZoneInfo) -> None:
    number = (day - date(1970, 1, 1)).days
    begin, end = day_begins(number, zone), day_begins(number + 1, zone)
    if end > begin:  # a day that a zone left out has no moment
        assert local_days(np.array([begin, end - 1]), zone).tolist() == [number, number]


def test_stretches_that_are_near_are_one() -> None:
    assert clock_segments.merged([(10, 20), (0, 5), (18, 30), (40, 50)], 4) == [(0, 5), (10, 30), (40, 50)]
    assert clock_segments.merged([(10, 20), (0, 5), (18, 30), (40, 50)], 10) == [(0, 50)]
    assert clock_segments.merged([], 1) == []


def test_every_statement_has_a_sentence_and_is_used() -> None:
    sources = [path.read_text("utf-8") for path in Path(storage.__path__[0]).glob("*.py")]
    # An archive names its tables, and `storage.everything` has a statement for each.
    sources.append(Path(archive_files.__file__).read_text("utf-8"))
    for path in files("storage").joinpath("queries").iterdir():
        text = path.read_text("utf-8")
        names = statements(path.name.removesuffix(".sql"))
        assert text.count("\n-- ") + text.startswith("-- ") >= 2 * len(names), path.name
        for name in names:
            words = name.split("_")
            stems = ["_".join(words[:count]) for count in range(1, len(words) + 1)]
            stem = name.removesuffix("_of_patient").removesuffix("_by_token")
            schema = name.removesuffix("_passerelle").removesuffix("_shelf")
            called = [f'"{each}' for each in (name, stem, schema)] + [f'"{each}_{{' for each in stems]
            assert any(each in source for source in sources for each in called), name


def test_python_holds_no_sql() -> None:
    for path in Path(storage.__path__[0]).glob("*.py"):
        for line in path.read_text("utf-8").splitlines():
            assert not any(
                word in line for word in ("SELECT ", "INSERT INTO", "UPDATE passerelle", "DELETE FROM")
            ) or ("SELECT 1" in line), (path.name, line)


def test_a_name_given_twice_in_one_file_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "queries").mkdir()
    (tmp_path / "queries" / "double.sql").write_text(
        "-- name: a\n-- One.\nSELECT 1\n-- name: a\n-- Two.\nSELECT 2\n"
    )
    monkeypatch.setattr("storage.statements.files", lambda _: tmp_path)
    with pytest.raises(ValueError, match="twice"):
        statements("double")


def test_a_local_day_counts_the_hour_that_comes_twice() -> None:
    paris = ZoneInfo("Europe/Paris")
    begin = day_begins((date(2026, 10, 25) - date(1970, 1, 1)).days, paris)
    end = day_begins((date(2026, 10, 26) - date(1970, 1, 1)).days, paris)
    assert end - begin == MICROSECONDS_A_DAY + timedelta(hours=1) // timedelta(microseconds=1)
