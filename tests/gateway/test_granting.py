"""What a person types of a grant, on their own calendar; and what software is told in a link."""

from __future__ import annotations

from datetime import UTC, date, datetime
from uuid import uuid4

import pytest

from device_profiles.errors import PasserelleError
from device_profiles.reading import Kind
from gateway.granting import Bounds, KindUnknown, PeriodEmpty, api_access, kinds_named
from gateway.sharing import EndInThePast, EndTooFar
from storage.patients import Patient

NOW = datetime(2026, 3, 29, 0, 30, tzinfo=UTC)
"""In Paris it is 01:30; at 02:00 the clocks are put forward."""


def paris() -> Patient:
    return Patient(1, uuid4(), "Ada", "Europe/Paris", None, None)


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


@pytest.mark.parametrize(
    ("bounds", "start", "end"),
    [
        (Bounds(), None, None),
        (Bounds(days=1), "2026-03-28T23:00Z", None),
        (Bounds(days=14), "2026-03-15T23:00Z", None),
        (Bounds(first=date(2026, 3, 29), last=date(2026, 3, 29)), "2026-03-28T23:00Z", "2026-03-29T22:00Z"),
        (Bounds(last=date(2026, 10, 25)), None, "2026-10-25T23:00Z"),
    ],
)
def test_a_period_is_whole_days_of_the_person(bounds: Bounds, start: str | None, end: str | None) -> None:
    expected = tuple(None if one is None else moment(one) for one in (start, end))
    assert bounds.period(paris(), NOW) == expected


def test_a_grant_holds_to_the_end_of_its_last_day() -> None:
    assert Bounds(until=date(2026, 3, 29)).ends_at(paris(), NOW) == moment("2026-03-29T22:00Z")
    assert Bounds().ends_at(paris(), NOW) is None


@pytest.mark.parametrize(
    ("bounds", "error"),
    [
        (Bounds(until=date(2026, 3, 28)), EndInThePast),
        (Bounds(until=date(2200, 1, 1)), EndTooFar),
        (Bounds(first=date(2026, 3, 2), last=date(2026, 3, 1)), PeriodEmpty),
    ],
)
def test_days_that_cannot_be_are_refused_in_words(bounds: Bounds, error: type[PasserelleError]) -> None:
    with pytest.raises(error):
        (bounds.period(paris(), NOW), bounds.ends_at(paris(), NOW))


def test_kinds_are_named_as_files_name_them() -> None:
    assert kinds_named(["ketone", " blood-glucose", "ketone"]) == (Kind.BLOOD_GLUCOSE, Kind.KETONE)
    assert kinds_named([]) is None
    with pytest.raises(KindUnknown):
        kinds_named(["blood_glucose"])


def test_an_access_says_what_the_specification_wants() -> None:
    said = api_access("token", "https://space.example/fhir", "1", datetime(2100, 1, 1, tzinfo=UTC))
    assert {"access_token", "token_type", "expires_in", "scope", "aud", "patient"} <= said.keys()
    assert said["token_type"] == "Bearer"
    assert said["aud"] == "https://space.example/fhir"
