"""The devices of a person as they are shown: battery, clock, last reading and problem, in words."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from device_profiles.errors import PasserelleError
from device_profiles.profile import DeviceProfile
from gateway.ble.errors import NotInRange
from gateway.events import DeviceKey
from gateway.setting_clock import ClockOutcome, ClockSetting
from gateway.watching import DeviceState
from gateway.web.app.errands import Errands
from gateway.web.app.pages import Page, PersonPage
from gateway.web.app.troubles import Trouble, trouble
from gateway.web.app.words import Words
from storage import devices
from storage.devices import ClockPolicy, StoredDevice

LOW_PERCENT: Final = 20
"""Most meters ask for a new battery there."""

TOLERANCE_SECONDS: Final = 120
"""Below this a clock is right to somebody who looks at it: meters show minutes, and many drop the seconds."""


@dataclass(frozen=True, slots=True)
class DeviceShown:
    """One device, in words."""

    device_id: int
    name: str
    read: str
    """When it was last read."""
    reading: bool
    """It is being read now."""
    battery: str
    battery_low: bool
    clock: str
    clock_wrong: bool
    clock_asked: bool
    """Its clock is set at the next reading."""
    clock_auto: bool
    """Its clock is set whenever it is plainly wrong."""
    missing: str
    """How many readings are missing from its memory; empty for none."""
    told: str
    """What the reading that was asked for brought; empty for nothing to say."""
    trouble: Trouble | None


async def devices_shown(page: PersonPage) -> tuple[DeviceShown, ...]:
    """The devices that a radio reaches, in the order they were added."""
    async with page.home.database.writer() as connection:
        own = await devices.of_patient(connection, page.person.patient_id)
    states = page.station.state().devices
    names = Counter(name_of(device) for device in own if device.radio_address)
    shown = []
    for device in own:
        if device.radio_address is not None:
            key = DeviceKey(page.person.uuid, device.device_id)
            one = device_shown(page, device, key, states.get(key, DeviceState()))
            alike = names[one.name] > 1 and device.device.serial
            shown.append(replace(one, name=f"{one.name} ({device.device.serial})") if alike else one)
    return tuple(shown)


def errands_of(page: Page) -> Errands:
    """The readings that were asked for in this process."""
    found: Errands = page.request.app.state.errands
    return found


def device_shown(page: PersonPage, device: StoredDevice, key: DeviceKey, state: DeviceState) -> DeviceShown:
    """One device, from what is stored and from what its watcher says."""
    words, errands = page.words, errands_of(page)
    ended = errands.ended.get(key)
    errand = ended if ended and ended.is_fresh else None
    under_way = state.reading or errands.is_under_way(key)
    problem = errand.problem if errand else _standing_problem(state)
    error = device.clock_error_seconds
    count = sum(gap.count for gap in device.gaps)
    battery = device.battery_percent
    return DeviceShown(
        device_id=device.device_id,
        name=name_of(device),
        read=read_in_words(device.last_synced_at, page),
        reading=under_way,
        battery="" if battery is None else words.t("{percent} %", percent=battery),
        battery_low=battery is not None and battery <= LOW_PERCENT,
        clock=clock_in_words(error, words),
        clock_wrong=error is not None and abs(error) > TOLERANCE_SECONDS,
        clock_asked=device.clock_set_asked_at is not None,
        clock_auto=device.clock_policy is ClockPolicy.AUTO,
        missing=words.tn(
            "{count} reading is missing from its memory.",
            "{count} readings are missing from its memory.",
            count,
        )
        if count
        else "",
        told=_told(errand.stored, errand.clock, words) if errand and not errand.problem else "",
        trouble=None if under_way or problem is None else trouble(problem, words),
    )


def _standing_problem(state: DeviceState) -> PasserelleError | None:
    """What is wrong with a device as it stands. That it sleeps is not: it wakes when it is used."""
    return None if isinstance(state.problem, NotInRange) else state.problem


def name_of(device: StoredDevice) -> str:
    """What a device is called: what it says of itself, else the name it calls into the air."""
    own = " ".join(filter(None, (device.device.manufacturer, device.device.model)))
    return own or device.radio_name or "–"


def kind_of(profile: DeviceProfile, words: Words) -> str:
    """What a device is, as its buyer says it; the name of the product where the catalogue knows it."""
    t = words.t
    standard = {
        "glucose-meter": t("Blood glucose meter"),
        "glucose-sensor": t("Glucose sensor"),
        "blood-pressure-cuff": t("Blood pressure cuff"),
        "weight-scale": t("Scale"),
        "body-composition-scale": t("Scale"),
        "thermometer": t("Thermometer"),
        "pulse-oximeter": t("Oximeter"),
        "heart-rate-sensor": t("Heart rate sensor"),
    }
    return standard.get(profile.name, profile.title)


def read_in_words(read_at: datetime | None, page: PersonPage) -> str:
    """When a device was last read."""
    if read_at is None:
        return page.t("not read yet")
    return page.words.ago(read_at, page.now, page.zone)


def clock_in_words(error: int | None, words: Words) -> str:
    """How far the clock of a device is ahead (positive) or behind, as somebody says it."""
    if error is None:
        return ""
    if abs(error) <= TOLERANCE_SECONDS:
        return words.t("right")
    minutes = round(abs(error) / 60)
    if minutes < 60:
        far = words.tn("{count} minute", "{count} minutes", minutes)
    elif minutes < 48 * 60:
        far = words.tn("{count} hour", "{count} hours", round(minutes / 60))
    elif minutes < 60 * 24 * 60:
        far = words.tn("{count} day", "{count} days", round(minutes / 1440))
    else:
        far = words.tn("{count} month", "{count} months", round(minutes / 43_830))
    if error > 0:
        return words.t("{far} ahead", far=far)
    return words.t("{far} behind", far=far)


def _told(stored: int, clock: ClockSetting | None, words: Words) -> str:
    said = (
        words.tn("{count} new reading.", "{count} new readings.", stored)
        if stored
        else words.t("Read just now: nothing new.")
    )
    match clock.outcome if clock else ClockOutcome.LEFT:
        case ClockOutcome.SET:
            said += " " + words.t("Its clock was set.")
        case ClockOutcome.NOT_WRITABLE | ClockOutcome.NO_CLOCK:
            said += " " + words.t("Its clock can be set with its own buttons only.")
        case ClockOutcome.REFUSED | ClockOutcome.NOT_CHANGED:
            said += " " + words.t("Its clock could not be set: set it with the buttons of the device.")
    return said
