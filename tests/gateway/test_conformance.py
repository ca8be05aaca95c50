"""`passerelle profiles check`: a right profile passes, and a wrong one is told what to change."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from device_profiles import catalogue
from device_profiles.catalogue import Catalogue
from device_profiles.devices import glucose_meter
from device_profiles.profile import Advertisement, Match
from gateway import conformance
from gateway.commands import profiles
from gateway.conformance import on_paper
from gateway.conformance.vectors import VectorsUnreadable, read_vectors


@pytest.mark.parametrize("name", ["blood-pressure-cuff", "body-composition-scale", "heart-rate-sensor"])
async def test_a_built_in_profile_passes_every_check_from_its_bytes_to_fhir(name: str) -> None:
    checked = await conformance.check(conformance.subject(name))
    assert [one for one in checked.findings if one.state is not conformance.State.PASSED] == []
    assert {"vectors", "any bytes", "observations", "fault lose_bond"} <= {
        one.check for one in checked.findings
    }


def test_every_built_in_profile_gives_the_readings_of_its_vectors() -> None:
    for profile in catalogue.BUILT_IN:
        wanted = conformance.subject(profile.name)
        vectors = read_vectors(wanted.vectors)
        found = list(on_paper.vectors(profile, vectors, wanted.vectors.name))
        assert [one.state for one in found] == [conformance.State.PASSED], profile.name


def test_the_check_is_written_as_json_junit_and_a_page(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page, suite = tmp_path / "it.html", tmp_path / "it.xml"
    with pytest.raises(SystemExit) as ended:
        profiles.check("thermometer", html=page, junit=suite, as_json=True)
    assert ended.value.code == 0
    (told,) = json.loads(capsys.readouterr().out)
    assert told["passed"]
    assert 'failures="0"' in suite.read_text()
    assert "thermometer" in page.read_text()


def test_a_file_with_a_mistake_is_told_with_its_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "acme_one.py"
    file.write_text(
        "from device_profiles.devices import glucose_meter\n\nPROFILE = glucose_meter.PROFILE.but(naem=1)\n"
    )
    with pytest.raises(SystemExit) as ended:
        profiles.check(str(file))
    assert ended.value.code == 2
    assert "acme_one.py, line 3" in capsys.readouterr().err


def test_vectors_with_a_mistake_are_told_with_their_place(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(
        '[{"characteristic": "0x2A18", "hex": "0g", "source": "x", "readings": []}]'
    )
    with pytest.raises(VectorsUnreadable, match="entry 1"):
        read_vectors(tmp_path / "a.json")


def test_of_two_profiles_that_fit_the_more_specific_is_taken_and_an_equal_one_is_told() -> None:
    acme = glucose_meter.PROFILE.but(
        name="acme-one", match=Match(names=("Acme .*",), services=(0x1808,)), virtual_name="Acme 1"
    )
    among = Catalogue((*catalogue.BUILT_IN, acme), ())
    assert among.match(Advertisement("Acme 1", (0x1808,))) is acme
    finding = on_paper.recognised(acme, among)
    assert finding.fields["others"] == "glucose-meter"
    equal = glucose_meter.PROFILE.but(name="beta-two", virtual_name="Beta 2")
    assert on_paper.recognised(equal, among).fields["other"] == "glucose-meter"
