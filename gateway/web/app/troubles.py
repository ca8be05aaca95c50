"""What went wrong, as the page says it: what happened, and what to do next, without a command in it.

The command line has its own sentences (`PasserelleError.sentence`); an error that is not told here is told
with them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from device_profiles.errors import MalformedMeasurement, PasserelleError
from gateway.adding import AddingUnexpected, NothingChosen
from gateway.ble import errors as radio
from gateway.known_devices import BondUnproven, DeviceOfAnother
from gateway.language import translate
from gateway.sync import DeviceSwapped
from gateway.web.app.words import Words


@dataclass(frozen=True, slots=True)
class Trouble:
    """What happened and what to do next; `next` may be empty where the first says both."""

    what: str
    next: str


Telling = Callable[[Words], tuple[str, str]]

TOLD: Final[Mapping[type[PasserelleError], Telling]] = {
    radio.NotInRange: lambda w: (
        w.t("The device does not answer."),
        w.t("Wake it with one of its buttons, keep it within a step of this computer, and try again."),
    ),
    NothingChosen: lambda w: (
        w.t("No device was chosen in five minutes, so we stopped looking."),
        w.t("Wake the device, keep it near, and try again."),
    ),
    radio.PasskeyRefused: lambda w: (
        w.t("The code was not accepted."),
        w.t(
            "Start the pairing on the device again: it shows a new code, or the code is printed on its back."
        ),
    ),
    radio.PasskeyMalformed: lambda w: (
        w.t("The code has six digits, such as 012345."),
        w.t("Type all of them, zeros in front included."),
    ),
    radio.BondLost: lambda w: (
        w.t("The device has forgotten this computer."),
        w.t("Add it again: nothing that was stored is lost."),
    ),
    radio.PairingNeeded: lambda w: (
        w.t("The device does not know this computer yet."),
        w.t("Add it again: nothing that was stored is lost."),
    ),
    BondUnproven: lambda w: (
        w.t("The device accepted the code, but did not answer the second time."),
        w.t("Turn it off and on, keep it near, and try again."),
    ),
    DeviceOfAnother: lambda w: (
        w.t("This device belongs to somebody else here already."),
        w.t("Change the person at the top of the page, forget the device there, then add it again here."),
    ),
    DeviceSwapped: lambda w: (
        w.t("Another device answered in the place of this one."),
        w.t("Keep only the right one near, and try again. A new device is added like the first one."),
    ),
    radio.ConnectionLost: lambda w: (
        w.t("The connection to the device was lost."),
        w.t("What had arrived is kept. Keep the device near, and try again to get the rest."),
    ),
    radio.DeviceSilent: lambda w: (
        w.t("The device stopped answering."),
        w.t("Turn it off and on, keep it near, and try again."),
    ),
    radio.ControlPointSilent: lambda w: (
        w.t("The device did not say that it has sent everything."),
        w.t("What had arrived is kept. Turn the device off and on, and try again to get the rest."),
    ),
    radio.ServiceMissing: lambda w: (
        w.t("This device does not give its readings in a way that Passerelle knows."),
        w.t("It may be another model than it seems. Nothing was changed on it."),
    ),
    radio.RadioUnavailable: lambda w: (
        w.t("Bluetooth is off on this computer, or there is none."),
        w.t("Turn Bluetooth on in the settings of the computer, then try again."),
    ),
    radio.RadioBusy: lambda w: (
        w.t("Bluetooth is in use by another Passerelle on this computer."),
        w.t("Wait until it has finished, then try again."),
    ),
    MalformedMeasurement: lambda w: (
        w.t("The device sent something that cannot be read."),
        w.t("It was kept aside, and nothing is lost. Try again."),
    ),
    AddingUnexpected: lambda w: (
        w.t("Something unexpected happened, and nothing was lost."),
        w.t("Turn the device off and on, and try again."),
    ),
}


def trouble(error: PasserelleError, words: Words) -> Trouble:
    """What the page says of an error: of its class, else with its own sentence."""
    for kind in type(error).__mro__:
        if kind in TOLD:
            return Trouble(*TOLD[kind](words))
        if "sentence" in vars(kind):
            break
    said = translate(error.sentence, words.language).format(**error.details)
    what, dot, after = said.partition(". ")
    return Trouble(what + dot.strip(), after)
