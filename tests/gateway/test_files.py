"""A file of readings: what is understood is kept, what is not is named."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from device_profiles.reading import Absent, Kind
from gateway.files import FileUnreadable, ranked, read_generic

PARIS = ZoneInfo("Europe/Paris")
WEEKS = sorted((Path(__file__).parents[2] / "gateway" / "demonstration").glob("hall_2018_*.csv"))


def written(tmp_path: Path, text: str) -> Path:
    file = tmp_path / "readings.csv"
    file.write_text(text, encoding="utf-8")
    return file


@pytest.mark.parametrize("week", WEEKS, ids=lambda week: week.stem)
def test_a_real_sensor_week_is_read_whole(week: Path) -> None:
    rows = len(week.read_text().splitlines()) - 1
    file = read_generic(week, Kind.INTERSTITIAL_GLUCOSE)
    assert (len(file.readings), file.refused) == (rows, ())


def test_a_line_that_cannot_be_read_is_named_and_the_rest_is_kept(tmp_path: Path) -> None:
    file = written(
        tmp_path,
        "time,mg_dl\n2026-03-14T08:00:00,118\nyesterday,118\n2026-03-14T08:05:00,high?\n\n"
        "2026-02-30T08:00:00,100\n2026-03-14T08:10:00,-4\n2026-03-14T08:15:00\n2026-03-14 08:20,121\n",
    )
    seen = read_generic(file, Kind.INTERSTITIAL_GLUCOSE)
    assert [line.line for line in seen.refused] == [3, 4, 6, 7, 8]
    assert [reading.quantities[0].value for reading in seen.readings] == [118, 121]


def test_a_reason_never_repeats_what_the_line_says(tmp_path: Path) -> None:
    file = written(tmp_path, "time,mg_dl\n2026-03-14T08:00:00,secret\nsecret,100\n")
    assert all("secret" not in line.reason for line in read_generic(file, Kind.BLOOD_GLUCOSE).refused)


def test_lo_and_hi_are_kept_as_such(tmp_path: Path) -> None:
    file = written(tmp_path, "time,mmol_l\n2026-03-14T08:00:00,LO\n2026-03-14T08:05:00,High\n")
    absents = [reading.quantities[0].absent for reading in read_generic(file, Kind.BLOOD_GLUCOSE).readings]
    assert absents == [Absent.BELOW_RANGE, Absent.ABOVE_RANGE]


def test_rows_of_the_same_time_are_told_apart_by_their_rank(tmp_path: Path) -> None:
    file = written(tmp_path, "time,mg_dl\n2026-10-25T02:30:00,110\n2026-10-25T02:30:00,140\n")
    readings = ranked(read_generic(file, Kind.BLOOD_GLUCOSE).readings, PARIS)
    assert [reading.identity.sequence for reading in readings] == [0, 1]


def test_a_row_that_is_there_twice_is_one_reading(tmp_path: Path) -> None:
    file = written(tmp_path, "time,mg_dl\n" + "2026-03-14T08:00:00,110\n2026-03-14T08:00:00,140\n" * 2)
    readings = ranked(read_generic(file, Kind.BLOOD_GLUCOSE).readings, PARIS)
    assert [(reading.identity.sequence, reading.quantities[0].value) for reading in readings] == [
        (0, 110),
        (1, 140),
    ]


def test_in_the_hour_that_comes_twice_equal_rows_are_two_readings(tmp_path: Path) -> None:
    file = written(tmp_path, "time,mg_dl\n2026-10-25T02:30:00,110\n2026-10-25T02:30:00,110\n")
    readings = read_generic(file, Kind.INTERSTITIAL_GLUCOSE).readings
    assert [reading.identity.sequence for reading in ranked(readings, PARIS)] == [0, 1]
    assert len(ranked(readings, ZoneInfo("Asia/Tokyo"))) == 1


@pytest.mark.parametrize("typed", ["118", "118.0", "118.00", "1.18e2", "0118"])
def test_a_value_is_the_same_however_it_was_typed(tmp_path: Path, typed: str) -> None:
    file = written(tmp_path, f"time,mg_dl\n2026-03-14T08:00:00,{typed}\n")
    assert read_generic(file, Kind.BLOOD_GLUCOSE).readings[0].raw == b"118 mg/dL"


@pytest.mark.parametrize("header", ["", "when,value\n", "time\n", "time,mg_dl,note\n"])
def test_a_file_without_the_header_is_refused_whole(tmp_path: Path, header: str) -> None:
    with pytest.raises(FileUnreadable):
        read_generic(written(tmp_path, header + "2026-03-14T08:00:00,118\n"), Kind.BLOOD_GLUCOSE)


def test_a_file_that_is_no_text_or_is_not_there_is_refused(tmp_path: Path) -> None:
    (tmp_path / "image.csv").write_bytes(b"\xff\xd8\xff\xe0\x00\x10")
    for name in ("image.csv", "absent.csv"):
        with pytest.raises(FileUnreadable):
            read_generic(tmp_path / name, Kind.BLOOD_GLUCOSE)


def test_a_file_from_a_spreadsheet_is_read(tmp_path: Path) -> None:
    (tmp_path / "sheet.csv").write_bytes("\ufefftime,mmol_l\r\n2026-03-14T08:00:00,6.6\r\n".encode())
    seen = read_generic(tmp_path / "sheet.csv", Kind.INTERSTITIAL_GLUCOSE)
    assert seen.readings[0].quantities[0].value == Decimal("6.6")


def test_a_line_that_is_no_text_or_opens_a_quote_takes_no_other_with_it(tmp_path: Path) -> None:
    (tmp_path / "damaged.csv").write_bytes(
        b'time,mg_dl\n2026-03-14T08:00:00,118\n2026-03-14T08:05:00,1\xe98\n"2026-03-14T08:10:00,119\n'
        b"2026-03-14T08:15:00,120\n"
    )
    seen = read_generic(tmp_path / "damaged.csv", Kind.INTERSTITIAL_GLUCOSE)
    assert [line.line for line in seen.refused] == [3, 4]
    assert [reading.quantities[0].value for reading in seen.readings] == [118, 120]


@pytest.mark.parametrize(
    "row", ["2026-03-14T08:00:00,1_000", "2026-03-14T08:00:00,١٢٠", "٢٠٢٦-03-14T08:00:00,120"]
)
def test_only_digits_that_a_device_writes_make_a_number(tmp_path: Path, row: str) -> None:
    seen = read_generic(written(tmp_path, f"time,mg_dl\n{row}\n"), Kind.INTERSTITIAL_GLUCOSE)
    assert (len(seen.readings), [line.line for line in seen.refused]) == (0, [2])


@pytest.mark.parametrize("year", ["0001", "1900", "9999"])
def test_a_year_without_devices_is_named(tmp_path: Path, year: str) -> None:
    seen = read_generic(written(tmp_path, f"time,mg_dl\n{year}-01-01T00:00:00,100\n"), Kind.BLOOD_GLUCOSE)
    assert [line.reason for line in seen.refused] == ["no device wrote a reading in such a year"]


@given(text=st.text())
def test_any_text_after_the_header_is_read_or_named(
    tmp_path_factory: pytest.TempPathFactory, text: str
) -> None:
    file = tmp_path_factory.mktemp("any") / "readings.csv"
    file.write_text("time,mg_dl\n" + text, encoding="utf-8", errors="replace")
    seen = read_generic(file, Kind.BLOOD_GLUCOSE)
    assert all(line.line >= 2 for line in seen.refused)
