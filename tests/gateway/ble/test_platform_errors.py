"""What bleak says on each platform, as our errors: the rows of what was seen on a real Linux stack."""

from __future__ import annotations

import pytest
from bleak.exc import (
    BleakBluetoothNotAvailableError,
    BleakBluetoothNotAvailableReason,
    BleakCharacteristicNotFoundError,
    BleakDBusError,
    BleakDeviceNotFoundError,
    BleakError,
    BleakGATTProtocolError,
)

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
from gateway.ble.meanings import ours

WHY = BleakBluetoothNotAvailableReason


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        (BleakDBusError("org.bluez.Error.AuthenticationFailed", ["Authentication Failed"]), PasskeyRefused),
        (BleakDBusError("org.bluez.Error.AuthenticationRejected", []), PasskeyRefused),
        (BleakDBusError("org.bluez.Error.AuthenticationTimeout", []), PasskeyTooLate),
        (BleakDBusError("org.bluez.Error.AuthenticationCanceled", []), PairingInterrupted),
        (BleakDBusError("org.bluez.Error.Failed", ["br-connection-canceled"]), BondLost),
        (BleakDBusError("org.bluez.Error.Failed", ["le-connection-key-missing"]), BondLost),
        (BleakDBusError("org.bluez.Error.Failed", ["le-connection-abort-by-local"]), ConnectionLost),
        (BleakDBusError("org.bluez.Error.Failed", ["br-connection-page-timeout"]), NotInRange),
        (BleakDBusError("org.bluez.Error.Failed", ["br-connection-adapter-not-powered"]), RadioOff),
        (BleakDBusError("org.bluez.Error.Failed", ["Input/output error"]), RadioUnavailable),
        (BleakDBusError("org.bluez.Error.NotReady", ["Resource Not Ready"]), RadioOff),
        (BleakDBusError("org.bluez.Error.Blocked", ["Blocked through rfkill"]), RadioOff),
        (BleakDBusError("org.bluez.Error.InProgress", ["Operation already in progress"]), RadioStuck),
        (BleakDBusError("org.bluez.Error.NotPermitted", ["Not paired"]), PairingNeeded),
        (BleakDBusError("org.freedesktop.DBus.Error.AccessDenied", ["Rejected send"]), RadioNotAllowed),
        (
            BleakDBusError("org.freedesktop.DBus.Error.ServiceUnknown", ["not activatable"]),
            RadioServiceStopped,
        ),
        (BleakDBusError("org.freedesktop.DBus.Error.NameHasNoOwner", ["no owner"]), RadioServiceStopped),
        (BleakDBusError("org.freedesktop.DBus.Error.Spawn.ChildExited", ["exited"]), RadioServiceStopped),
        (BleakDBusError("org.freedesktop.DBus.Error.NoReply", ["went away"]), RadioServiceStopped),
        (BleakDBusError("org.freedesktop.DBus.Error.UnknownObject", ["no such device"]), NotInRange),
        (BleakBluetoothNotAvailableError("the adapter is off", WHY.POWERED_OFF), RadioOff),
        (BleakBluetoothNotAvailableError("no adapter", WHY.NO_BLUETOOTH), RadioAbsent),
        (BleakBluetoothNotAvailableError("classic only", WHY.NO_BLE_CENTRAL_ROLE), RadioAbsent),
        (BleakBluetoothNotAvailableError("macOS: no", WHY.DENIED_BY_USER), RadioNotAllowed),
        (BleakBluetoothNotAvailableError("macOS: policy", WHY.DENIED_BY_SYSTEM), RadioNotAllowed),
        (BleakBluetoothNotAvailableError("no idea", WHY.UNKNOWN), RadioUnavailable),
        (FileNotFoundError("no such socket"), RadioServiceStopped),
        (ConnectionRefusedError("nobody listens"), RadioServiceStopped),
        (PermissionError("not yours"), RadioNotAllowed),
        (OSError("something else"), RadioUnavailable),
        (BleakDeviceNotFoundError("C0:FF:EE:00:00:01"), NotInRange),
        (TimeoutError(), NotInRange),
        (BleakGATTProtocolError(0x05), PairingNeeded),
        (BleakGATTProtocolError(0x0F), PairingNeeded),
        (BleakGATTProtocolError(0xFD), AttributeRefused),
        (BleakGATTProtocolError(0x0E), ConnectionLost),
        (BleakCharacteristicNotFoundError("2a18"), ServiceMissing),
        (BleakError("Not connected"), ConnectionLost),
        (BleakError("Could not pair with device: AUTHENTICATION_TIMEOUT"), PasskeyTooLate),
        (BleakError("Could not pair with device: FAILED"), PasskeyRefused),
        (BleakError("Could not read characteristic: Access Denied"), PairingNeeded),
        (BleakError("Peer removed pairing information"), BondLost),
        (BleakError("Service Discovery has not been performed yet"), ConnectionLost),
    ],
    ids=str,
)
def test_what_bleak_says_is_told_in_our_words(said, meant):
    error = ours(said)
    assert type(error) is meant
    assert str(error)
