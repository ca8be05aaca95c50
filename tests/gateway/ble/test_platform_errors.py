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
from gateway.ble.connection import ours
from gateway.ble.errors import (
    BondLost,
    ConnectionLost,
    NotInRange,
    PairingNeeded,
    PasskeyRefused,
    RadioUnavailable,
    ServiceMissing,
)

OFF = BleakBluetoothNotAvailableReason.POWERED_OFF


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        (BleakDBusError("org.bluez.Error.AuthenticationFailed", ["Authentication Failed"]), PasskeyRefused),
        (BleakDBusError("org.bluez.Error.AuthenticationRejected", []), PasskeyRefused),
        (BleakDBusError("org.bluez.Error.AuthenticationTimeout", []), PasskeyRefused),
        (BleakDBusError("org.bluez.Error.AuthenticationCanceled", []), ConnectionLost),
        (BleakDBusError("org.bluez.Error.Failed", ["br-connection-canceled"]), BondLost),
        (BleakDBusError("org.bluez.Error.Failed", ["Input/output error"]), RadioUnavailable),
        (BleakBluetoothNotAvailableError("the adapter is off", OFF), RadioUnavailable),
        (FileNotFoundError("no such socket"), RadioUnavailable),
        (BleakDeviceNotFoundError("C0:FF:EE:00:00:01"), NotInRange),
        (TimeoutError(), NotInRange),
        (BleakGATTProtocolError(0x05), PairingNeeded),
        (BleakGATTProtocolError(0x0F), PairingNeeded),
        (BleakGATTProtocolError(0xFD), AttributeRefused),
        (BleakGATTProtocolError(0x0E), ConnectionLost),
        (BleakCharacteristicNotFoundError("2a18"), ServiceMissing),
        (BleakError("Not connected"), ConnectionLost),
        (BleakError("Service Discovery has not been performed yet"), ConnectionLost),
    ],
    ids=str,
)
def test_what_bleak_says_is_told_in_our_words(said, meant):
    error = ours(said)
    assert type(error) is meant
    assert str(error)
