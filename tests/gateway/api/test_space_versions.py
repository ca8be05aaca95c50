"""What is told of a reading later: notes, exclusions, another time, a late context, not mine, erased."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID

import httpx
import numpy as np
import orjson
import pytest

from device_profiles.reading import Context, ReadingSeries
from fhir_mapping import bundle
from fhir_mapping.observation import render
from storage.database import Database
from tests.fhir_mapping.examples import IDS, Placed
from tests.gateway.api.space_serving import (
    RunningSpace,
    bundle_of,
    entries,
    names,
    places,
    sensor_reading,
    sent,
    series,
)

MEAL = Context(raw=b"", meal=1)


class Told:
    """Readings that a space has, and their names there."""

    def __init__(self, space: RunningSpace, count: int = 3) -> None:
        self.space = space
        self.gateway = space.register()
        self.placed = [sensor_reading(number) for number in range(count)]
        self.first = series(*self.placed)
        self.names = names(self.gateway.feed(sent(self.first)))

    @property
    def uuid(self) -> UUID:
        return self.first.patient_uuid

    def version(self, row: int, placed: Placed) -> dict[str, Any]:
        """The Observation that says this of a row."""
        told: dict[str, Any] = orjson.loads(render(series(placed, uuid=self.uuid), IDS))
        return {**told, "id": self.names[row]}

    def put(self, row: int, placed: Placed, version: int = 1, *, error: bool = False) -> httpx.Response:
        """Tell it in a transaction."""
        told = self.version(row, placed)
        if error:
            told["status"] = "entered-in-error"
        request = {
            "method": "PUT",
            "url": f"Observation/{self.names[row]}",
            "ifMatch": f'W/"{version}"',
        }
        around = entries(self.first)[:2]
        return self.gateway.feed(bundle_of([*around, {"resource": told, "request": request}]))

    def stored(self) -> ReadingSeries:
        return self.space.stored(self.uuid)

    def counted(self) -> int:
        """The readings in the days' summaries."""
        (patient_id,) = self.space.patients(self.uuid)

        async def counted(database: Database) -> int:
            async with database.owner() as conn:
                query = (
                    "SELECT coalesce(sum(readings), 0) FROM passerelle.daily_summary WHERE patient_id = %s"
                )
                row = await (await conn.execute(query, (patient_id,))).fetchone()
                return int(row[0]) if row else 0

        return self.space.run(counted)


def etag(answer: httpx.Response) -> str:
    """The version that a PUT in a transaction has made."""
    assert answer.status_code == 200, answer.text
    return str(answer.json()["entry"][-1]["response"]["etag"])


@pytest.fixture
def told(space: RunningSpace) -> Told:
    return Told(space)


def test_a_note_comes_changes_and_goes(told: Told) -> None:
    assert etag(told.put(1, replace(told.placed[1], note="after lunch"), 1)) == 'W/"2"'
    assert told.stored().notes == {1: "after lunch"}
    assert etag(told.put(1, replace(told.placed[1], note="after dinner"), 2)) == 'W/"3"'
    assert told.stored().notes == {1: "after dinner"}
    assert etag(told.put(1, told.placed[1], 3)) == 'W/"4"'
    assert told.stored().notes == {}
    assert told.space.count("reading", told.uuid) == 3


def test_an_excluded_reading_leaves_the_day_and_comes_back(told: Told) -> None:
    told.put(0, replace(told.placed[0], excluded=True))
    assert told.stored().excluded.tolist() == [True, False, False]
    assert told.counted() == 2
    told.put(0, told.placed[0], 2)
    assert told.stored().excluded.tolist() == [False, False, False]
    assert told.counted() == 3


def test_a_reading_that_is_another_s_is_shown_no_more(told: Told) -> None:
    told.put(2, told.placed[2], error=True)
    assert told.stored().sequence.tolist() == [0, 1]
    assert told.counted() == 2
    assert etag(told.put(2, told.placed[2], 2)) == 'W/"3"'
    assert told.stored().sequence.tolist() == [0, 1, 2]


def test_another_time_moves_that_reading_and_no_other(told: Told) -> None:
    moved = replace(told.placed[1], effective=(told.placed[1].effective or 0) + timedelta(days=2))  # type: ignore[operator]
    told.put(1, moved)
    kept = told.stored()
    times = dict(zip(kept.sequence.tolist(), kept.effective_time.tolist(), strict=True))
    before = told.first.effective_time.tolist()
    assert times == {0: before[0], 1: before[1] + 2 * 86_400_000_000, 2: before[2]}
    assert told.space.count("reading", told.uuid) == 3
    assert told.counted() == 3


def test_a_context_that_comes_late_joins_its_reading(told: Told) -> None:
    placed = told.placed[0]
    late = replace(placed, reading=replace(placed.reading, context=MEAL))
    assert etag(told.put(0, late)) == 'W/"2"'
    assert told.stored().contexts == {0: MEAL}
    other = replace(placed, reading=replace(placed.reading, context=Context(raw=b"", meal=2)))
    assert told.put(0, other, 2).status_code == 422


def test_a_version_that_says_nothing_new_is_the_one_that_is_there(told: Told) -> None:
    noted = replace(told.placed[0], note="once")
    for version in (1, 1, 2):
        assert etag(told.put(0, noted, version)) == 'W/"2"'
    assert told.space.count("annotation", told.uuid) == 1


def test_a_version_in_the_place_of_another_one_is_refused(told: Told) -> None:
    told.put(0, replace(told.placed[0], note="first"))
    answer = told.put(0, replace(told.placed[0], note="second"), 1)
    assert (answer.status_code, places(answer)) == (412, ["Bundle.entry[2].resource"])
    assert told.stored().notes == {0: "first"}


def test_a_reading_s_value_never_changes(told: Told) -> None:
    other = sensor_reading(50).reading.quantities
    answer = told.put(0, replace(told.placed[0], reading=replace(told.placed[0].reading, quantities=other)))
    assert (answer.status_code, places(answer)) == (422, ["Bundle.entry[2].resource"])
    assert told.stored().mantissa.tolist() == told.first.mantissa.tolist()


def test_one_version_is_put_alone(told: Told) -> None:
    """With what names person and device on a server: their ids there."""
    (patient_id,) = told.space.patients(told.uuid)
    body = told.version(0, replace(told.placed[0], note="alone"))
    body["subject"] = {"reference": f"Patient/{told.space.ids.patient(patient_id)}"}
    body["device"] = {"reference": f"Device/{told.space.ids.device(patient_id, 1)}"}
    path, headers = f"/fhir/Observation/{told.names[0]}", {"If-Match": 'W/"1"'}
    answer = told.gateway.request("PUT", path, orjson.dumps(body), headers=headers)
    assert (answer.status_code, answer.headers["etag"]) == (200, 'W/"2"')
    assert answer.headers["location"].endswith(f"{path}/_history/2")
    assert told.stored().notes == {0: "alone"}
    without = told.gateway.request("PUT", path, orjson.dumps(body))
    assert (without.status_code, places(without)) == (422, ["Observation"])


def test_an_erased_reading_is_gone_and_does_not_come_back(told: Told) -> None:
    path = f"/fhir/Observation/{told.names[1]}"
    assert told.gateway.request("DELETE", path).status_code == 204
    assert told.stored().sequence.tolist() == [0, 2]
    assert told.counted() == 2
    assert told.gateway.request("DELETE", path).status_code == 204
    answer = told.put(1, replace(told.placed[1], note="still?"))
    assert (answer.status_code, places(answer)) == (410, ["Bundle.entry[2].resource"])
    answer = told.gateway.feed(sent(told.first))
    assert (answer.status_code, places(answer)) == (410, ["Bundle.entry[3].resource"])
    assert told.stored().sequence.tolist() == [0, 2]


def test_several_are_erased_in_one_transaction(told: Told) -> None:
    deletions = [{"request": {"method": "DELETE", "url": f"Observation/{name}"}} for name in told.names[:2]]
    answer = told.gateway.feed(bundle_of(deletions))
    assert [entry["response"]["status"] for entry in answer.json()["entry"]] == ["204 No Content"] * 2
    assert told.stored().sequence.tolist() == [2]


def test_all_at_once_is_one_transaction(told: Told) -> None:
    """New readings, a version and an erasure; the version is stale, so nothing happens."""
    more = series(*[sensor_reading(number) for number in range(3, 6)], uuid=told.uuid)
    stale = {
        "resource": told.version(0, replace(told.placed[0], note="stale")),
        "request": {"method": "PUT", "url": f"Observation/{told.names[0]}", "ifMatch": 'W/"7"'},
    }
    deletion = {"request": {"method": "DELETE", "url": f"Observation/{told.names[1]}"}}
    asked = [*entries(more), stale, deletion]
    assert told.gateway.feed(bundle_of(asked)).status_code == 412
    assert told.stored().sequence.tolist() == [0, 1, 2]
    stale["request"]["ifMatch"] = 'W/"1"'
    assert told.gateway.feed(bundle_of(asked)).status_code == 200
    assert told.stored().sequence.tolist() == [0, 2, 3, 4, 5]
    assert told.stored().notes == {0: "stale"}


def test_what_a_gateway_renders_as_a_change_is_taken(told: Told) -> None:
    noted = series(replace(told.placed[0], note="from the outbox"), uuid=told.uuid)
    change = bundle.change(render(noted, IDS), told.names[0], 'W/"1"')
    around = bundle.surroundings(noted, IDS)
    answer = told.gateway.feed(bundle.bundle("transaction", [*around, change]))
    assert etag(answer) == 'W/"2"'
    assert told.stored().notes == {0: "from the outbox"}


def test_many_moved_at_once_share_a_segment(space: RunningSpace) -> None:
    told = Told(space, 60)
    later = told.first.effective_time + 3600 * 1_000_000
    moved = replace(told.first, effective_time=later)
    changes = [
        bundle.change(render(moved.take(np.array([row])), IDS), name, 'W/"1"')
        for row, name in enumerate(told.names)
    ]
    answer = told.gateway.feed(
        bundle.bundle("transaction", [*bundle.surroundings(told.first, IDS), *changes])
    )
    assert answer.status_code == 200, answer.text
    assert told.stored().effective_time.tolist() == later.tolist()
    assert told.space.count("clock_segment", told.uuid) == 2  # that of before stays as a trace
