"""Identifiers: what makes a Patient, a Device and an Observation the same one wherever it arrives again.

`urn:passerelle:reading` holds `<device digest>/<recorded_at>/<sequence>/<ordinal>/<kind>`: the key of the
reading (rules 1 and 7), so a conditional create by it makes no second Observation, whichever gateway sends
it, and whatever has since been learnt of the clock. The digest covers the patient's UUID too: a reading that
was moved to another person must be created anew there, and one meter shared by two people must not tie them
together in a space. A digest, so that no serial number is in a search or in a log.

The second identifier is that of HL7 PHD (PhdBaseObservation notes, "Conditional-create Identifier"):
`device-patient-type-timestamp`, the timestamp in seconds since 2000 as the device wrote it ("Generating the
PHD Reported Timestamp"). It has no sequence number, so two readings of one second share it: it is never ours
to create by. A reading without a date, or from a file, has none. The recipe wants the System ID: where
only a serial number is known, the digest stands in its place, on which gateways of this project agree.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import lru_cache
from hashlib import sha256
from typing import Final
from uuid import UUID

from device_profiles.reading import DeviceIdentity, Kind

URI_SYSTEM: Final = "urn:ietf:rfc:3986"
DEVICE: Final = "urn:passerelle:device"
SYSTEM_ID: Final = "urn:oid:1.2.840.10004.1.1.1.0.0.1.0.0.1.2680"
BLUETOOTH_ADDRESS: Final = "http://hl7.org/fhir/sid/eui-48/bluetooth"
DIGEST: Final = "digest"
"""The scheme of a device of which only the digest is known: at a space, which is told no serial number."""
FILE_DIGEST: Final = "file-digest"
"""The same for what readings came from that no device sent."""
READING_CONDITION: Final = "identifier=urn:passerelle:reading|"
"""How a conditional create of an Observation begins."""
PHD_EPOCH_SECONDS: Final = 946_684_800
"""2000-01-01 in seconds since 1970."""


@lru_cache(maxsize=1024)
def device_digest(patient: UUID, identity: DeviceIdentity) -> str:
    """Who a device is, for one person: 32 hexadecimal characters."""
    if identity.scheme in (DIGEST, FILE_DIGEST):
        return identity.value
    parts = (patient.bytes, identity.scheme.encode(), identity.value.encode("utf-8", "replace"))
    return sha256(b"\0".join(parts)).hexdigest()[:32]


def reading_identifier(digest: str, recorded_at: int, sequence: int, ordinal: int, kind: Kind) -> str:
    """The value of our identifier of a reading. `recorded_at`: microseconds since 1970."""
    moment = datetime(1970, 1, 1) + timedelta(microseconds=recorded_at)  # noqa: DTZ001 - as written, without zone
    return f"{digest}/{moment.isoformat()}/{sequence}/{ordinal}/{kind.slug}"


def is_file(identity: DeviceIdentity) -> bool:
    """Whether no device is known, only the file that readings came from."""
    return identity.scheme in ("file", FILE_DIGEST)


def patient_identifier(patient: UUID) -> dict[str, str]:
    """The FHIR Identifier of a person: their UUID, carried to every gateway and space (rule 3)."""
    return {"system": URI_SYSTEM, "value": patient.urn}


def eui(identity: DeviceIdentity) -> str | None:
    """The System ID or address in capital hexadecimal characters, if that is how the device is known."""
    if identity.scheme not in ("system-id", "address"):
        return None
    return "".join(character for character in identity.value.upper() if character in "0123456789ABCDEF")


def phd_prefix(patient: UUID, identity: DeviceIdentity, code: str) -> str | None:
    """The PHD identifier up to its timestamp; None for what no device sent."""
    if is_file(identity):
        return None
    device = eui(identity) or device_digest(patient, identity)
    return f"{device}-{patient.urn}-{URI_SYSTEM}-{code}-"
