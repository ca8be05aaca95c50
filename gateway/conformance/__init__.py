"""Whether a profile is right, from its bytes to a FHIR Observation, without radio and database."""

from __future__ import annotations

import asyncio
import importlib.util
import logging
import re
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Final

from device_profiles import catalogue
from device_profiles.catalogue import Catalogue, UnknownProfile, why_unusable
from device_profiles.errors import PasserelleError
from device_profiles.profile import DeviceProfile
from device_profiles.reading import Device, Reading
from fhir_mapping import judging
from gateway.conformance import on_paper, on_the_air
from gateway.conformance.findings import SHARED, Finding, State, failed, passed
from gateway.conformance.vectors import Vector, VectorsUnreadable, arrived, read_vectors

__all__ = ["Checked", "Finding", "State", "Subject", "VectorsUnreadable", "check", "check_file", "subject"]

ACCEPTED = "{count} Observations of {kinds}: fhir.resources accepts each, and each is read back the same."
NONE_SHARED = "No reading came that could be an Observation."
READ_FIRST = "Look at what the records check says."
NOT_ACCEPTED = "fhir.resources refuses the Observation of {bytes}: {why}"
NOT_SAME = "The Observation of {bytes} is read back as another reading."
NAME_THE_MEANING = (
    "Give its quantities units of device_profiles.reading.UNITS and its kind a code in fhir_mapping.codes."
)


class ProfileUnusable(PasserelleError):
    """A file that holds no profile."""

    sentence = "{file} holds no profile that can be used: {reason}"


@dataclass(frozen=True, slots=True)
class Subject:
    """A profile that is checked, the file of its vectors, and the profiles that it stands among."""

    profile: DeviceProfile
    vectors: Path
    among: Catalogue


@dataclass(frozen=True, slots=True)
class Checked:
    """What a check of a profile found."""

    profile: str
    findings: tuple[Finding, ...]

    @property
    def is_right(self) -> bool:
        """Whether nothing failed."""
        return all(finding.state is not State.FAILED for finding in self.findings)


def subject(name: str) -> Subject:
    """A profile by its name in the catalogue, or by its file. Raises UnknownProfile, ProfileUnusable."""
    if name.endswith(".py"):
        return _of_file(Path(name))
    known = catalogue.installed()
    profile = catalogue.by_name(name.replace("_", "-"))
    spec = importlib.util.find_spec(known.module_of(profile))
    origin = Path(spec.origin) if spec is not None and spec.origin else Path(f"{profile.name}.py")
    return Subject(profile, origin.with_suffix(".json"), known)


def _of_file(path: Path) -> Subject:
    if not path.is_file():
        raise UnknownProfile(path.name, tuple(profile.name for profile in catalogue.profiles()))
    spec = spec_from_file_location(path.stem, path)
    try:
        assert spec is not None and spec.loader is not None  # noqa: S101, PT018 - it ends in .py
        module = module_from_spec(spec)
        spec.loader.exec_module(module)
        profile = module.PROFILE
        re.compile("|".join(profile.match.names))
    except Exception as error:  # noqa: BLE001 - a stranger's module may raise anything
        raise ProfileUnusable(file=path.name, reason=why_unusable(error)) from None
    if not isinstance(profile, DeviceProfile):
        raise ProfileUnusable(file=path.name, reason="PROFILE is no DeviceProfile")
    return Subject(profile, path.with_suffix(".json"), catalogue.installed())


def check_file(path: Path) -> tuple[str, ...]:
    """What is wrong with the profile in a file, for a test of it: empty where nothing is."""
    checked = asyncio.run(check(_of_file(path)))
    return tuple(
        f"{finding.check}: {finding.seen.format(**finding.fields)} {finding.change.format(**finding.fields)}"
        for finding in checked.findings
        if finding.state is State.FAILED
    )


async def check(wanted: Subject) -> Checked:
    """Every check of a profile. Raises VectorsUnreadable."""
    with _quiet():
        return Checked(wanted.profile.name, tuple([finding async for finding in _findings(wanted)]))


async def _findings(wanted: Subject) -> AsyncIterator[Finding]:
    profile = wanted.profile
    written = read_vectors(wanted.vectors)
    samples = _samples(profile, written)
    for finding in on_paper.declared(profile):
        yield finding
    yield on_paper.recognised(profile, wanted.among)
    for finding in on_paper.vectors(profile, written, wanted.vectors.name):
        yield finding
    yield on_paper.written_again(profile, samples)
    yield on_paper.any_bytes(profile, samples)
    async with on_the_air.bench(profile) as at:
        yield await on_the_air.passkey_refused(at)
        finding, kept = await on_the_air.nothing_wrong(at)
        yield finding
        read = [
            *kept.readings.values(),
            *(one for each in written for one in arrived(profile, each).readings),
        ]
        yield shared(read, at.device)
        for one in on_the_air.faults_of(profile):
            yield await on_the_air.fault(at, one)
        clock = await on_the_air.clock(at)
        if clock is not None:
            yield clock
        yield await on_the_air.bond_lost(at)


def _samples(profile: DeviceProfile, written: Sequence[Vector]) -> list[tuple[int, bytes]]:
    """Values of its characteristics: of the vectors, and of made-up records."""
    samples = [(vector.characteristic, value) for vector in written for value in vector.values]
    access = profile.records
    for record in on_the_air.records_of(profile):
        characteristic = record.characteristic or profile.measurement
        samples += [(characteristic, value) for value in (record.measurement, *record.following)]
        if record.context is not None and access is not None:
            samples.append((access.context, record.context))
    return samples


def shared(readings: Sequence[Reading], device: Device) -> Finding:
    """The whole way: each reading as an Observation that a judge accepts, and back."""
    if not readings:
        return failed("observations", SHARED, NONE_SHARED, READ_FIRST)
    try:
        rendered = judging.observations(readings, device)
    except (ValueError, KeyError, PasserelleError) as error:
        why = f"{type(error).__name__}: {error}"
        shown = readings[0].raw.hex().upper()
        return failed("observations", SHARED, NOT_ACCEPTED, NAME_THE_MEANING, bytes=shown, why=why)
    for reading, observation in zip(readings, rendered, strict=True):
        shown = reading.raw.hex().upper()
        objection = judging.objection(observation)
        if objection is not None:
            return failed("observations", SHARED, NOT_ACCEPTED, NAME_THE_MEANING, bytes=shown, why=objection)
        if judging.read_back(observation) != judging.without_bytes(reading):
            return failed("observations", SHARED, NOT_SAME, NAME_THE_MEANING, bytes=shown)
    kinds = judging.kinds_told(readings)
    return passed("observations", SHARED, ACCEPTED, count=len(readings), kinds=kinds)


_NOISY: Final = ("bumble", "bleak", "gateway.ble")


@contextmanager
def _quiet() -> Iterator[None]:
    """Faults that are asked for are no news in a log."""
    before = {name: logging.getLogger(name).level for name in _NOISY}
    for name in _NOISY:
        logging.getLogger(name).setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        for name, level in before.items():
            logging.getLogger(name).setLevel(level)
