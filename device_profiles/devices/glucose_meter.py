"""A glucose meter that keeps to the Glucose Profile (GLP 1.0.1) and its service (GLS 1.0.1)."""

from device_profiles.profile import DeviceProfile, Match
from device_profiles.services import glucose

PROFILE = DeviceProfile(
    name="glucose-meter",
    title="Glucose meter (standard Bluetooth profile)",
    manufacturer=None,
    known_by="standard",
    source="Bluetooth SIG, Glucose Profile 1.0.1 and Glucose Service 1.0.1",
    match=Match(services=(glucose.SERVICE,)),
)
