"""What a person says and asks of time at a terminal: a meter's clock, a reading's time, another zone."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from tests.journeys.conftest import CAPTURE, CommandLine
from tests.journeys.test_radio import pair, virtual_meter


def test_a_clock_is_told_of_asked_for_and_set_after_a_reading(passerelle: CommandLine) -> None:
    with virtual_meter(passerelle, "--generate", "3") as meter:
        at_home = passerelle.with_environment(PASSERELLE_BLE=meter.transport)
        pair(at_home, meter, "Louise")
        at_home.json("sync")
        told = at_home.json("devices", "clock", meter.name)
        assert (told["policy"], told["asked"], told["outcome"]) == ("tell", False, None)
        assert abs(told["clock_error_seconds"]) < 60 * 60 * 15
        done = at_home.json("devices", "clock", meter.name, "--set")
        assert (done["outcome"], done["asked"]) == ("set", False)
        assert abs(done["error_after"]) <= 60
        assert "is right" in at_home.run("devices", "clock", meter.name, "--never").stdout
    away = passerelle.with_environment(PASSERELLE_BLE=meter.transport)
    assert away.run("devices", "clock", "another", "--never", status=1).stderr.startswith(
        "another is not paired"
    )


def test_a_time_that_is_known_better_is_listed_as_said_and_another_zone_moves_none(
    passerelle: CommandLine,
) -> None:
    passerelle.json("replay", str(CAPTURE), "--patient", "Louise", "--timezone", "Europe/Paris")
    listed = passerelle.json("readings", "list", "--patient", "Louise")
    one = listed[3]
    assert passerelle.json("readings", "time", one["id"], "--at", "2021-10-20 09:30") == {"placed": 1}
    (said,) = [
        each for each in passerelle.json("readings", "list", "--patient", "Louise") if each["id"] == one["id"]
    ]
    assert datetime.fromisoformat(said["time"]) == datetime(2021, 10, 20, 7, 30, tzinfo=UTC)
    assert said["time_source"] == "person"
    printed = passerelle.with_environment(LANG="fr_FR.UTF-8", LC_ALL="fr_FR.UTF-8")
    assert "heure donnée par vous" in printed.run("readings", "list", "--patient", "Louise").stdout
    to_come = (datetime.now() + timedelta(days=2)).strftime("%Y-%m-%d %H:%M")  # noqa: DTZ005 - as it is typed
    refused = passerelle.run("readings", "time", one["id"], "--at", to_come, status=1)
    assert "still to come" in refused.stderr
    before = passerelle.json("readings", "list", "--patient", "Louise")
    assert passerelle.json("patients", "zone", "Louise", "America/Lima")["timezone"] == "America/Lima"
    after = passerelle.json("readings", "list", "--patient", "Louise")
    assert [datetime.fromisoformat(each["time"]) for each in after] == [
        datetime.fromisoformat(each["time"]) for each in before
    ]
