"""What docs/scale.md says is what the model computes, and the model computes what can be checked by hand."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from dataclasses import fields, replace
from pathlib import Path

import pytest

from benchmarks import scale_inputs
from benchmarks.capacity import PAGE, page
from benchmarks.load import measured
from benchmarks.scale_model import Assumed, Cost, Inputs, engines, load, plan, stored
from benchmarks.scale_rush import erlang_wait, rush, wait_beyond
from benchmarks.scale_tables import SIZES, Model, digits, duration, size
from storage.embedded import erase

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def model() -> Model:
    return Model(scale_inputs.recorded())


def test_the_page_is_what_the_model_computes_from_the_recorded_inputs(model: Model) -> None:
    """If not: `python -m benchmarks.capacity --write`."""
    assert PAGE.read_text() == page(model)


def test_the_command_answers_for_software_with_its_inputs() -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "benchmarks.capacity", "--json"], cwd=ROOT, capture_output=True, check=True
    )
    told = json.loads(ended.stdout)
    assert told["inputs"].keys() == {field.name for field in fields(Inputs)}
    assert {one["spaces"] for one in told["plans"]} == set(SIZES)


def test_every_input_was_measured(model: Model) -> None:
    for field in fields(Inputs):
        value = getattr(model.inputs, field.name)
        assert value.reading > 0 if isinstance(value, Cost) else value


def test_a_day_of_one_space_is_what_its_habits_say(model: Model) -> None:
    brought = load(1, model.inputs, Assumed(), engines(model.inputs, Assumed().elsewhere)["plain"])
    assert brought.readings * 86_400 == pytest.approx(288)
    assert brought.hourly * 86_400 == pytest.approx(24)
    assert brought.morning == pytest.approx(0.6 / (1200 * math.sqrt(2 * math.pi)))


def test_ten_years_of_one_person_in_rows_are_their_readings_and_their_days(model: Model) -> None:
    inputs = replace(model.inputs, row_bytes=100.0, summary_bytes=10.0)
    kept = stored(1, inputs, Assumed(), engines(inputs, Assumed().elsewhere)["plain"])
    assert kept == pytest.approx(3652.5 * (288 * 100 + 10))


def test_twice_the_people_need_twice_the_disk_and_never_fewer_machines(model: Model) -> None:
    for name in ("plain", "timescale", "regions", "citus"):
        one, two = (plan(n * 100_000, model.inputs, model.assumed, model.engine(name)) for n in (1, 2))
        assert two.disk == pytest.approx(2 * one.disk)
        assert two.machines >= one.machines
        assert two.cost_a_year > one.cost_a_year


def test_no_server_of_a_plan_is_asked_for_more_than_it_has(model: Model) -> None:
    machine = model.assumed.machine
    for one in model.plans()[1:]:
        assert one.load.server_cores <= one.databases * one.database_cores * machine.busy * 1.001
        assert one.load.space_cores <= one.space_machines * one.space_cores * machine.busy * 1.001
        assert one.stored <= one.databases * machine.disk
        assert one.restore <= machine.restore


@pytest.mark.parametrize(
    ("servers", "offered", "waits"), [(1, 0.5, 0.5), (2, 1.0, 1 / 3), (3, 2.0, 4 / 9), (1, 1.0, 1.0)]
)
def test_who_has_to_wait_is_as_erlang_said(servers: int, offered: float, waits: float) -> None:
    assert erlang_wait(servers, offered, 1.0) == pytest.approx(waits)


def test_the_wait_of_one_in_a_hundred_at_one_server_is_that_of_the_textbook() -> None:
    # M/M/1: P(W > t) = rho · exp(-(mu - lambda) t)
    assert wait_beyond(0.01, 1, 0.8, 1.0) == pytest.approx(math.log(0.8 / 0.01) / 0.2)
    assert wait_beyond(0.01, 1, 1.1, 1.0) == math.inf
    assert wait_beyond(0.01, 16, 0.1, 1.0) == 0


@pytest.mark.parametrize("longest_wait", [60, 900])
@pytest.mark.parametrize("people", [1_000, 100_000])
def test_in_a_rush_all_are_served_and_none_sooner_than_can_be(people: int, longest_wait: float) -> None:
    crowd = rush(people, 60, 100, longest_wait=longest_wait, refusal_share=0.05, queue=32)
    assert crowd.served_after >= people / 100
    assert crowd.refusals >= 0


def test_to_be_sent_away_for_longer_serves_a_crowd_sooner() -> None:
    short, long = (
        rush(1_000_000, 60, 500, longest_wait=wait, refusal_share=0.1, queue=64) for wait in (60, 900)
    )
    assert long.served_after < short.served_after
    assert long.refusals < short.refusals


@pytest.mark.parametrize(
    ("shown", "text"),
    [
        (digits(1234), "1 200"),
        (digits(0.0996), "0.10"),
        (digits(7), "7.0"),
        (size(18.6e15), "19 PB"),
        (duration(90), "90 s"),
        (duration(7200), "2.0 h"),
        (duration(0.0123), "12 ms"),
    ],
)
def test_a_number_is_shown_with_the_digits_that_count(shown: str, text: str) -> None:
    assert shown == text


async def test_of_two_processes_of_a_space_one_is_killed_under_load_and_what_was_acknowledged_is_there(
    tmp_path: Path,
) -> None:
    """With so little room that many are refused and come again: nothing is lost, nothing is there twice."""
    narrow = {"PASSERELLE_INGEST_AT_ONCE": "1", "PASSERELLE_GATEWAY_RATE": "3", "PASSERELLE_POOL_SIZE": "2"}
    try:
        report = await measured(
            tmp_path, gateways=24, seconds=4, every=0.4, readings=12, kill=True, settings=narrow
        )
    finally:
        erase(tmp_path)
    assert report.equal, report
    assert report.acknowledged == report.found > 24 * 12
    assert report.answers["/fhir 0"] > 0  # they lost their process
    assert report.exit_codes == [-9, 0]
