from __future__ import annotations

from importlib.metadata import EntryPoint

import pytest

from device_profiles import catalogue
from device_profiles.catalogue import Catalogue, UnknownProfile
from device_profiles.devices import accu_chek_guide, glucose_meter
from device_profiles.profile import Advertisement, DeviceProfile, Match

ACME = glucose_meter.PROFILE.but(name="acme-one", title="Acme One", match=Match(names=("Acme .*",)))
NO_PROFILE = object()


def plugin(name: str, value: str) -> EntryPoint:
    return EntryPoint(name, value, catalogue.ENTRY_POINT_GROUP)


@pytest.mark.parametrize(
    ("advertisement", "expected"),
    [
        (Advertisement("meter+12345678", (0x1808,), {0x0170: b"\xd5\x21"}), accu_chek_guide.PROFILE),
        (Advertisement("meter+12345678", (0x1808,)), accu_chek_guide.PROFILE),
        (Advertisement("meter+12345678", (0x1808,), {0x004C: b""}), glucose_meter.PROFILE),
        (Advertisement("meter+1234", (0x1808,)), glucose_meter.PROFILE),
        (Advertisement(None, (0x180A, 0x1808)), glucose_meter.PROFILE),
        (Advertisement("meter+12345678"), None),
        (Advertisement("Headphones", (0x110B,)), None),
    ],
)
def test_the_profile_that_says_most_of_an_advertisement_is_taken(
    advertisement: Advertisement, expected: DeviceProfile | None
) -> None:
    assert catalogue.match(advertisement) is expected


def test_every_built_in_profile_is_found_by_its_name() -> None:
    assert [catalogue.by_name(profile.name) for profile in catalogue.BUILT_IN] == list(catalogue.BUILT_IN)


def test_an_unknown_name_is_answered_with_the_known_ones() -> None:
    with pytest.raises(UnknownProfile) as refused:
        catalogue.by_name("acme-two")
    assert "glucose-meter" in refused.value.known


def test_a_virtual_device_of_each_profile_is_recognised_as_that() -> None:
    for profile in catalogue.BUILT_IN:
        advertised = Advertisement(profile.virtual_name, profile.match.services)
        assert catalogue.match(advertised) is profile


def test_an_installed_profile_is_one_of_the_catalogue() -> None:
    loaded = Catalogue.load([plugin("acme", f"{__name__}:ACME")])
    assert loaded.profiles == (*catalogue.BUILT_IN, ACME)
    assert loaded.match(Advertisement("Acme 5")) is ACME
    assert loaded.problems == ()


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("no_such_module:PROFILE", "ModuleNotFoundError"),
        (f"{__name__}:NOTHING", "AttributeError"),
        (f"{__name__}:NO_PROFILE", "no DeviceProfile"),
        ("device_profiles.devices.glucose_meter:PROFILE", "exists already"),
    ],
)
def test_a_plug_in_that_fails_is_named_and_keeps_no_other_away(value: str, reason: str) -> None:
    loaded = Catalogue.load([plugin("broken", value), plugin("acme", f"{__name__}:ACME")])
    assert ACME in loaded.profiles
    ((name, told),) = loaded.problems
    assert name == "broken"
    assert reason in told


def test_the_installed_catalogue_has_no_problems() -> None:
    assert catalogue.problems() == ()
    assert catalogue.profiles()[: len(catalogue.BUILT_IN)] == catalogue.BUILT_IN
