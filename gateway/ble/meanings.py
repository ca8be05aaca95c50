"""What bleak's errors mean to the person, on whichever platform. One table for each kind of error.

BlueZ says little by the type of an error and much by its text; what was seen on a real stack is in
docs/bluetooth.md, and tests/bluez sees it again.
"""

from __future__ import annotations

from typing import Final

from bleak.exc import (
    BleakBluetoothNotAvailableError,
    BleakBluetoothNotAvailableReason,
    BleakCharacteristicNotFoundError,
    BleakDBusError,
    BleakDeviceNotFoundError,
    BleakError,
    BleakGATTProtocolError,
    BleakGATTProtocolErrorCode,
)

from device_profiles.errors import DeviceError
from device_profiles.procedures.record_access import AttributeRefused
from gateway.ble.errors import (
    BondLost,
    ConnectionLost,
    NotInRange,
    PairingInterrupted,
    PairingNeeded,
    PasskeyRefused,
    PasskeyTooLate,
    RadioAbsent,
    RadioNotAllowed,
    RadioOff,
    RadioServiceStopped,
    RadioStuck,
    RadioUnavailable,
    ServiceMissing,
)
from gateway.ble.pairing import BondRefused, PairingRefused

Meanings = tuple[tuple[str, type[DeviceError]], ...]

NEEDS_PAIRING: Final = {
    BleakGATTProtocolErrorCode.INSUFFICIENT_AUTHENTICATION,
    BleakGATTProtocolErrorCode.INSUFFICIENT_ENCRYPTION,
    BleakGATTProtocolErrorCode.INSUFFICIENT_ENCRYPTION_KEY_SIZE,
    BleakGATTProtocolErrorCode.INSUFFICIENT_AUTHORIZATION,
}

NOT_AVAILABLE: Final[dict[BleakBluetoothNotAvailableReason, type[RadioUnavailable]]] = {
    BleakBluetoothNotAvailableReason.NO_BLUETOOTH: RadioAbsent,
    BleakBluetoothNotAvailableReason.NO_BLE_CENTRAL_ROLE: RadioAbsent,
    BleakBluetoothNotAvailableReason.POWERED_OFF: RadioOff,
    BleakBluetoothNotAvailableReason.DENIED_BY_USER: RadioNotAllowed,
    BleakBluetoothNotAvailableReason.DENIED_BY_SYSTEM: RadioNotAllowed,
    BleakBluetoothNotAvailableReason.DENIED_BY_UNKNOWN: RadioNotAllowed,
}

DBUS: Final[Meanings] = (
    ("DBus.Error.AccessDenied", RadioNotAllowed),
    ("DBus.Error.ServiceUnknown", RadioServiceStopped),
    ("DBus.Error.NameHasNoOwner", RadioServiceStopped),
    ("DBus.Error.Spawn", RadioServiceStopped),  # D-Bus tried to start bluetoothd, and could not
    ("DBus.Error.NoReply", RadioServiceStopped),  # it ended while it was asked
    ("DBus.Error.TimedOut", RadioServiceStopped),
    ("DBus.Error.Disconnected", RadioServiceStopped),
    ("DBus.Error.UnknownObject", NotInRange),  # BlueZ drops what it has not heard for a while
    ("org.bluez.Error.DoesNotExist", NotInRange),
    ("org.bluez.Error.ConnectionAttemptFailed", NotInRange),
    ("org.bluez.Error.NotReady", RadioOff),
    ("org.bluez.Error.Blocked", RadioOff),
    ("not-powered", RadioOff),
    ("Not Powered", RadioOff),
    ("org.bluez.Error.InProgress", RadioStuck),
    ("Operation already in progress", RadioStuck),
    ("org.bluez.Error.NotPermitted", PairingNeeded),  # "Not paired"
    ("org.bluez.Error.AuthenticationCanceled", PairingInterrupted),
    ("org.bluez.Error.AuthenticationTimeout", PasskeyTooLate),
    ("org.bluez.Error.Authentication", PasskeyRefused),
    ("br-connection-canceled", BondLost),
    ("key-missing", BondLost),  # what later versions of BlueZ say instead
    ("connection-timeout", NotInRange),
    ("page-timeout", NotInRange),
    ("-connection-", ConnectionLost),
    ("Software caused connection abort", ConnectionLost),
)
"""By a part of the error's name and text; the first that fits. What fits none: the radio does not work."""

PLAIN: Final[Meanings] = (
    ("Could not pair with device: AUTHENTICATION_TIMEOUT", PasskeyTooLate),  # Windows, as the next three
    ("Could not pair with device", PasskeyRefused),
    ("Failure trying to pair", PasskeyRefused),
    ("Access Denied", PairingNeeded),
    ("Peer removed pairing information", BondLost),  # macOS
)
"""The same for errors of bleak that have no type of their own. What fits none: the link ended."""


KINDS: Final[tuple[tuple[type[Exception], type[DeviceError]], ...]] = (
    (TimeoutError, NotInRange),
    (BleakDeviceNotFoundError, NotInRange),
    (BleakCharacteristicNotFoundError, ServiceMissing),
    (PairingRefused, PasskeyRefused),
    (BondRefused, BondLost),
    (PermissionError, RadioNotAllowed),
    (FileNotFoundError, RadioServiceStopped),  # there is no D-Bus
    (ConnectionError, RadioServiceStopped),
    (OSError, RadioUnavailable),
)
"""The first that fits."""


def ours(error: BleakError | TimeoutError | OSError) -> DeviceError:
    """What an error of bleak means."""
    match error:
        case BleakGATTProtocolError():
            return _of_protocol(error)
        case BleakBluetoothNotAvailableError():
            return NOT_AVAILABLE.get(error.reason, RadioUnavailable)()
        case BleakDBusError():
            return _first(DBUS, str(error), RadioUnavailable)
    for kind, meant in KINDS:
        if isinstance(error, kind):
            return meant()
    return _first(PLAIN, str(error), ConnectionLost)


def _of_protocol(error: BleakGATTProtocolError) -> DeviceError:
    if error.code in NEEDS_PAIRING:
        return PairingNeeded()
    if error.code is BleakGATTProtocolErrorCode.UNLIKELY_ERROR:
        return ConnectionLost()  # what BlueZ makes of a link that ends while something is asked
    return AttributeRefused(int(error.code))


def _first(meanings: Meanings, text: str, otherwise: type[DeviceError]) -> DeviceError:
    return next((meant for part, meant in meanings if part in text), otherwise)()
