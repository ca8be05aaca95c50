"""A household with one device of each family: paired, read twice, and taken away as FHIR and CSV."""

from __future__ import annotations

import csv
import io
import json
from collections import Counter

from tests.journeys.conftest import CommandLine
from tests.journeys.test_radio import pair_another, virtual_meter

PROFILES = ("blood-pressure-cuff", "weight-scale", "thermometer", "pulse-oximeter", "glucose-sensor")
KINDS = {
    "blood-pressure": 3,
    "body-weight": 2,
    "body-composition": 1,
    "body-temperature": 3,
    "oxygen-saturation": 3,
    "interstitial-glucose": 3,
}
LOINC = {"85354-9": 3, "29463-7": 2, "41982-0": 1, "8310-5": 3, "2708-6": 3, "99504-3": 3}


def test_each_device_of_a_household_is_paired_and_read_and_each_record_leaves_once(
    passerelle: CommandLine,
) -> None:
    arguments = [part for profile in PROFILES for part in ("--profile", profile)]
    with virtual_meter(passerelle, *arguments, "--generate", "3") as meter:
        gateway = passerelle.with_environment(PASSERELLE_BLE=meter.transport)
        gateway.run("patients", "add", "Patient 1", "--timezone", "Europe/Paris")
        for heard in gateway.json("scan", "--seconds", "1"):
            meter.name = heard["name"]
            pair_another(gateway, meter, "Patient 1")
        assert gateway.json("sync")["stored"] == 15
        for name in ("Virtual oximeter", "Virtual sensor"):  # who keeps what was read
            assert gateway.json("sync", name)["stored"] == 0
    table = passerelle.run("export", "--patient", "Patient 1", "--format", "csv").stdout
    rows = list(csv.DictReader(io.StringIO(table)))
    assert Counter(row["kind"] for row in rows) == KINDS
    bundle = json.loads(passerelle.run("export", "--patient", "Patient 1", "--format", "fhir").stdout)
    observations = [
        entry["resource"] for entry in bundle["entry"] if entry["resource"]["resourceType"] == "Observation"
    ]
    codes = Counter(one["code"]["coding"][0]["code"] for one in observations)
    assert codes == LOINC
    for row in rows:
        if row["kind"] == "blood-pressure":
            assert "diastolic=" in row["further"]
            assert "pulse_rate=" in row["further"]
