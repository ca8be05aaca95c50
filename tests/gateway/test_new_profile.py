"""`passerelle profiles new`: for any text a valid profile that passes its checks; nothing overwritten."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway import conformance
from gateway.conformance.vectors import read_vectors
from gateway.new_profile import SERVICES, Answers, ProfileExists, module_name, write_profile

SAID = ("Acme #", "Acme", "https://acme.example/one.pdf")


@pytest.mark.parametrize(
    "title", ["Acme One", "7 up", "class", "json", "", "血糖仪", "../../etc", "con", 'a"""\\\n\0b', "é" * 200]
)
def test_any_title_is_a_valid_name_and_a_profile_that_loads(tmp_path: Path, title: str) -> None:
    assert module_name(title).isidentifier()
    profile, *_ = write_profile(Answers(title, "glucose", *SAID), tmp_path, package=False)
    assert profile.parent == tmp_path
    assert len(profile.read_text().splitlines()) <= 40
    assert conformance.subject(str(profile)).profile.manufacturer == "Acme"


@pytest.mark.parametrize("service", SERVICES)
def test_each_service_gives_a_profile_with_vectors(tmp_path: Path, service: str) -> None:
    profile, vectors, _ = write_profile(Answers("Acme One", service, *SAID), tmp_path, package=False)
    assert conformance.subject(str(profile)).profile.name == "acme-one"
    assert len(read_vectors(vectors)) == 3


def test_a_new_profile_passes_its_own_test(tmp_path: Path) -> None:
    profile, *_ = write_profile(Answers("Acme One", "blood-pressure", *SAID), tmp_path, package=True)
    assert conformance.check_file(profile) == ()
    assert (
        'acme-one = "passerelle_acme_one.acme_one:PROFILE"'
        in (tmp_path / "passerelle-acme-one" / "pyproject.toml").read_text()
    )


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    (tmp_path / "test_acme_one.py").write_text("mine")
    with pytest.raises(ProfileExists):
        write_profile(Answers("Acme One", "glucose", *SAID), tmp_path, package=False)
    assert [path.name for path in tmp_path.iterdir()] == ["test_acme_one.py"]
