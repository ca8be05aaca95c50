"""What can go wrong on the radio, each with what the person can do next."""

from device_profiles.errors import DeviceError


class RadioUnavailable(DeviceError):
    """There is no radio that answers: absent, off, not allowed, or not at the address given."""

    sentence = (
        "Bluetooth is not available. Turn it on, or plug the adapter in, "
        "and check PASSERELLE_BLE if it is set; then run the same command again."
    )


class RadioOff(RadioUnavailable):
    """The radio is switched off, or blocked (aeroplane mode)."""

    sentence = "Bluetooth is off on this computer. Turn it on, then try again."


class RadioAbsent(RadioUnavailable):
    """No adapter, or none for Bluetooth Low Energy."""

    sentence = (
        "This computer has no Bluetooth that reaches the meter. "
        "If its Bluetooth is a small plug, plug it in again; then try again."
    )


class RadioNotAllowed(RadioUnavailable):
    """The system refuses: macOS by the person's choice, D-Bus by its policy."""

    sentence = (
        "Passerelle is not allowed to use Bluetooth on this computer. Allow it in the computer's settings "
        "(privacy, Bluetooth), or ask whoever looks after the computer; then try again."
    )


class RadioServiceStopped(RadioUnavailable):
    """Linux: no `bluetoothd`, or no D-Bus, that answers."""

    sentence = (
        "The computer's Bluetooth has stopped. Restart the computer, then try again; "
        "if it stays so, ask whoever looks after the computer."
    )


class RadioStuck(RadioUnavailable):
    """The system's Bluetooth is still at something that was broken off, and takes nothing new."""

    sentence = "Bluetooth is stuck on this computer. Turn Bluetooth off and on again, then try again."


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


class OutOfRange(NotInRange):
    """It was heard faintly, and lost before it was reached."""

    sentence = "The meter is too far away. Put it beside the computer, and try again."


class MeterAsleep(NotInRange):
    """It was heard well, did not answer, and is heard no more."""

    sentence = "The meter fell asleep before it answered. Wake it, and try again while it is awake."


class HeldByAnother(NotInRange):
    """It is still heard, and takes no connection from us."""

    sentence = (
        "The meter is near but busy with another phone or computer. "
        "Close its app there, or turn Bluetooth off there for a moment; then try again."
    )


class ConnectionLost(DeviceError):
    """The link ended before we ended it."""

    sentence = (
        "The connection to the meter was lost. What had arrived is kept; "
        "bring the meter near and run the same command again to get the rest."
    )


class PairingInterrupted(ConnectionLost):
    """The link ended while the two were pairing."""

    sentence = (
        "The connection broke while the meter was being paired. "
        "Put it beside the computer, in pairing mode again, and try again."
    )


class DeviceSilent(DeviceError):
    """The link is up, and a call did not return within its limit (see `gateway.ble.limits`)."""

    sentence = "The meter stopped answering. Turn it off and on again, then run the same command again."


class RecordsClosed(DeviceSilent):
    """There is a bond, and nothing that it should open answers: made by Just Works, or the device hangs."""

    sentence = (
        "The meter does not open its readings to this computer. Turn the meter off and on again and try "
        "again; if it says the same, pair it again. Nothing that was stored is lost."
    )


class ControlPointSilent(DeviceError):
    """The record access control point never said that it has finished."""

    sentence = (
        "The meter did not say that it has sent everything. What had arrived is kept; "
        "turn the meter off and on again, then run the same command again."
    )


class PairingNeeded(DeviceError):
    """The device keeps its records for paired partners, and no passkey was given."""

    sentence = "The meter must be paired first. Run: passerelle pair"


class PairingBySystem(PairingNeeded):
    """The system pairs only in its own settings (Windows, where bleak knows no passkey)."""

    sentence = (
        "Pair the meter in the computer's own Bluetooth settings, with the six digits that the meter shows; "
        "then try again."
    )


class PasskeyRefused(DeviceError):
    """Pairing ended without a bond: another passkey, a refusal on the device, or no answer in time."""

    sentence = (
        "The meter refused the passkey. Put it in pairing mode again "
        "and type the six digits that it shows or that are printed on it."
    )


class PasskeyTooLate(PasskeyRefused):
    """Nobody typed before the meter, or our own limit, gave up: each step of pairing has 30 s."""

    sentence = (
        "The six digits came too late: a meter waits about half a minute. "
        "Put it in pairing mode again, and type them as soon as it shows them."
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
