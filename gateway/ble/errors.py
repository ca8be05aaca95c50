"""What can go wrong on the radio, each with what the person can do next."""

from device_profiles.errors import DeviceError


class RadioUnavailable(DeviceError):
    """There is no radio that answers: absent, off, not allowed, or not at the address given."""

    sentence = (
        "Bluetooth is not available. Turn it on, or plug the adapter in, "
        "and check PASSERELLE_BLE if it is set; then run the same command again."
    )


class RadioBusy(DeviceError):
    """Another process of this home holds the radio."""

    sentence = (
        "Bluetooth is in use by another Passerelle on this computer. Wait until it has finished, or stop it."
    )


class RadioPortTaken(DeviceError):
    """A virtual radio cannot listen where it was asked to."""

    sentence = "Port {port} is in use by another program. Choose another port, or stop that program."


class NotInRange(DeviceError):
    """Nothing was heard of the device while we listened."""

    sentence = "The meter was not found. Wake it, turn its Bluetooth on, bring it near, and try again."


class ConnectionLost(DeviceError):
    """The link ended before we ended it."""

    sentence = (
        "The connection to the meter was lost. What had arrived is kept; "
        "bring the meter near and run the same command again to get the rest."
    )


class DeviceSilent(DeviceError):
    """The link is up, and a call did not return within its limit (see `gateway.ble.limits`)."""

    sentence = "The meter stopped answering. Turn it off and on again, then run the same command again."


class ControlPointSilent(DeviceError):
    """The record access control point never said that it has finished."""

    sentence = (
        "The meter did not say that it has sent everything. What had arrived is kept; "
        "turn the meter off and on again, then run the same command again."
    )


class PairingNeeded(DeviceError):
    """The device keeps its records for paired partners, and no passkey was given."""

    sentence = "The meter must be paired first. Run: passerelle pair"


class PasskeyRefused(DeviceError):
    """Pairing ended without a bond: another passkey, a refusal on the device, or no answer in time."""

    sentence = (
        "The meter refused the passkey. Put it in pairing mode again "
        "and type the six digits that it shows or that are printed on it."
    )


class PasskeyMalformed(DeviceError):
    """A passkey is a number of six digits (Bluetooth Core, Vol 3 Part H §2.3.5.3)."""

    sentence = "A passkey has six digits, such as 012345. Type the one that the meter shows."


class BondLost(DeviceError):
    """The device no longer knows the key that was agreed with it."""

    sentence = (
        "The meter has forgotten this computer. Pair it again (passerelle pair); "
        "nothing that was stored is lost."
    )


class ServiceMissing(DeviceError):
    """The device lacks a characteristic that its profile cannot do without."""

    sentence = "This device does not offer its records in a way that is understood. It may be another model."
