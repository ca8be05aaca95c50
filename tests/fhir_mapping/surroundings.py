"""One of each resource that stands around Observations."""

from __future__ import annotations

from datetime import date

from device_profiles.reading import Device, DeviceIdentity, Kind
from fhir_mapping import bundle, resources
from tests.fhir_mapping.examples import METER, NOON, PATIENT, SENSOR_FILE

SYSTEM = Device(DeviceIdentity("system-id", "7110-00FE FF5F49B0"), manufacturer="Acme", model="One")
ADDRESS = Device(DeviceIdentity("address", "b0:49:5f:00:10:71"))
OWNER = {"reference": "Patient/1"}


def device(of: Device, **told: bool) -> bytes:
    return resources.device(
        "d1", of, patient_uuid=PATIENT, owner=OWNER, kinds=(Kind.BLOOD_GLUCOSE, Kind.KETONE), **told
    )


def surroundings() -> dict[str, bytes]:
    return {
        "patient": resources.patient("p1", PATIENT),
        "patient with a name": resources.patient("p1", PATIENT, " Somebody \x00"),
        "meter": device(METER),
        "meter with its serial number": device(METER, with_serial=True),
        "file": device(SENSOR_FILE),
        "device by its System ID": device(SYSTEM),
        "device by its address": device(ADDRESS),
        "provenance": resources.provenance("r1", ["Observation/1"], recorded=NOON, software="Passerelle 0.1"),
        "audit event": resources.audit_event(
            "a1", recorded=NOON, who="The practice", patient_reference="Patient/1", what="blood-glucose"
        ),
        "refused": resources.audit_event(
            "a1", recorded=NOON, who="", patient_reference="Patient/1", what="", allowed=False
        ),
        "consent": resources.consent(
            "c1",
            patient_reference="Patient/1",
            given=NOON,
            grantee={"display": "The practice"},
            kinds=(Kind.BLOOD_GLUCOSE, Kind.INTERSTITIAL_GLUCOSE),
            readings=(date(2021, 10, 1), None),
            until=NOON.replace(year=2022),
        ),
        "open consent": resources.consent(
            "c1",
            patient_reference="Patient/1",
            given=NOON,
            grantee={"reference": "Practitioner/1"},
            kinds=(),
            readings=(None, None),
            until=None,
            active=False,
        ),
        "outcome": bundle.operation_outcome([("error", "not-found", "There is nothing under this address.")]),
        "empty searchset": bundle.bundle("searchset", [], total=0, links={"self": "https://space.example/x"}),
    }
