"""All device profiles: ours, and those of installed packages (entry-point group `passerelle.profiles`).

A plug-in that cannot be loaded is left out and named in `problems()`; it never keeps the others away.
"""

from __future__ import annotations

import traceback
from collections.abc import Iterable, Mapping
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import MappingProxyType
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
    modules: Mapping[str, str] = MappingProxyType({})
    """By name of a profile that was installed: the module that holds it."""

    @classmethod
    def load(cls, plugins: Iterable[EntryPoint]) -> Catalogue:
        """Our own profiles and those of `plugins`."""
        profiles = {profile.name: profile for profile in BUILT_IN}
        problems = []
        modules = {}
        for plugin in plugins:
            try:
                profile = plugin.load()
                if isinstance(profile, DeviceProfile):
                    profile.match.specificity(Advertisement("any"))  # a pattern that is none, is none for all
            except Exception as error:  # noqa: BLE001 - a stranger's module may raise anything
                problems.append(Problem(plugin.name, why_unusable(error)))
                continue
            if not isinstance(profile, DeviceProfile):
                problems.append(Problem(plugin.name, "it is no DeviceProfile"))
            elif profile.name in profiles:
                problems.append(Problem(plugin.name, f"a profile named {profile.name} exists already"))
            else:
                profiles[profile.name] = profile
                modules[profile.name] = plugin.module
        return cls(tuple(profiles.values()), tuple(problems), modules)

    def match(self, advertisement: Advertisement) -> DeviceProfile | None:
        """The profile that fits best; of equals the one that was there first."""
        best = max(self.profiles, key=lambda profile: profile.match.specificity(advertisement))
        return best if best.match.specificity(advertisement) else None

    def matches(self, advertisement: Advertisement) -> tuple[tuple[int, DeviceProfile], ...]:
        """Every profile that fits, with how specific it is; the one that is taken stands first."""
        found = [(profile.match.specificity(advertisement), profile) for profile in self.profiles]
        return tuple(sorted((each for each in found if each[0]), key=lambda each: -each[0]))

    def module_of(self, profile: DeviceProfile) -> str:
        """The module of a profile: its vectors lie beside it."""
        return self.modules.get(profile.name, f"device_profiles.devices.{profile.name.replace('-', '_')}")


def why_unusable(error: Exception) -> str:
    """Why a module holds no profile: the mistake and, where it can be told, the file and line of it."""
    said = f"{type(error).__name__}: {error}"
    if isinstance(error, SyntaxError):  # which tells its place itself
        return said
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        installed = "site-packages" in Path(frame.filename).parts
        library = frame.filename.startswith(("<", *_LIBRARIES)) and not installed
        if not library and "device_profiles" not in Path(frame.filename).parts:
            return f"{said} ({Path(frame.filename).name}, line {frame.lineno})"
    return said


_LIBRARIES: Final = (str(Path(traceback.__file__).parent),)
"""A mistake is not where the library notices it but where it was called."""


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


def installed() -> Catalogue:
    """The whole catalogue."""
    return _installed()


def match(advertisement: Advertisement) -> DeviceProfile | None:
    """The profile that fits an advertisement best, or None."""
    return _installed().match(advertisement)
