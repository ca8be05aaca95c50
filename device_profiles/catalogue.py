"""All device profiles: ours, and those of installed packages (entry-point group `passerelle.profiles`).

A plug-in that cannot be loaded is left out and named in `problems()`; it never keeps the others away.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Final, NamedTuple

from device_profiles.devices import (
    accu_chek_guide,
    blood_pressure_cuff,
    body_composition_scale,
    glucose_meter,
    glucose_sensor,
    heart_rate_sensor,
    pulse_oximeter,
    thermometer,
    weight_scale,
)
from device_profiles.errors import DeviceError
from device_profiles.profile import Advertisement, DeviceProfile

ENTRY_POINT_GROUP: Final = "passerelle.profiles"
BUILT_IN: Final = (
    glucose_meter.PROFILE,
    accu_chek_guide.PROFILE,
    blood_pressure_cuff.PROFILE,
    weight_scale.PROFILE,
    body_composition_scale.PROFILE,
    thermometer.PROFILE,
    pulse_oximeter.PROFILE,
    heart_rate_sensor.PROFILE,
    glucose_sensor.PROFILE,
)


class UnknownProfile(DeviceError):
    """No profile has this name. `known` are the names that exist."""

    sentence = "There is no device profile {name}. The profiles are: {known}."

    def __init__(self, name: str, known: tuple[str, ...]) -> None:
        self.known = known
        super().__init__(name=name, known=", ".join(known))


class Problem(NamedTuple):
    """A plug-in that was left out, and why."""

    plugin: str
    reason: str


class Catalogue(NamedTuple):
    """The profiles that could be loaded, and what could not."""

    profiles: tuple[DeviceProfile, ...]
    problems: tuple[Problem, ...]

    @classmethod
    def load(cls, plugins: Iterable[EntryPoint]) -> Catalogue:
        """Our own profiles and those of `plugins`."""
        profiles = {profile.name: profile for profile in BUILT_IN}
        problems = []
        for plugin in plugins:
            try:
                profile = plugin.load()
            except Exception as error:  # noqa: BLE001 - a stranger's module may raise anything
                problems.append(Problem(plugin.name, f"{type(error).__name__}: {error}"))
                continue
            if not isinstance(profile, DeviceProfile):
                problems.append(Problem(plugin.name, "it is no DeviceProfile"))
            elif profile.name in profiles:
                problems.append(Problem(plugin.name, f"a profile named {profile.name} exists already"))
            else:
                profiles[profile.name] = profile
        return cls(tuple(profiles.values()), tuple(problems))

    def match(self, advertisement: Advertisement) -> DeviceProfile | None:
        """The profile that fits best; of equals the one that was there first."""
        best = max(self.profiles, key=lambda profile: profile.match.specificity(advertisement))
        return best if best.match.specificity(advertisement) else None


@cache
def _installed() -> Catalogue:
    return Catalogue.load(entry_points(group=ENTRY_POINT_GROUP))


def profiles() -> tuple[DeviceProfile, ...]:
    """Every profile."""
    return _installed().profiles


def problems() -> tuple[Problem, ...]:
    """The plug-ins that were left out."""
    return _installed().problems


def by_name(name: str) -> DeviceProfile:
    """The profile of this name. Raises UnknownProfile."""
    for profile in profiles():
        if profile.name == name:
            return profile
    raise UnknownProfile(name, tuple(profile.name for profile in profiles()))


def match(advertisement: Advertisement) -> DeviceProfile | None:
    """The profile that fits an advertisement best, or None."""
    return _installed().match(advertisement)
