"""A cuff that keeps to the Blood Pressure Profile (BLP 1.1.1) and its service (BLS 1.1.1).

It has no control point: when somebody listens it sends what it measured since the last time, each measurement
in an indication, and forgets it once that is confirmed.
"""

from device_profiles.meanings.blood_pressure import BloodPressureMeaning
from device_profiles.profile import SUPPORTING_OFFER, DeviceProfile, Match, Source
from device_profiles.services import blood_pressure

PROFILE = DeviceProfile(
    name="blood-pressure-cuff",
    title="Blood pressure cuff (standard Bluetooth profile)",
    manufacturer=None,
    known_by="standard",
    source="Bluetooth SIG, Blood Pressure Profile 1.1.1 and Blood Pressure Service 1.1.1",
    match=Match(services=(blood_pressure.SERVICE,)),
    offer={
        blood_pressure.SERVICE: (blood_pressure.MEASUREMENT, blood_pressure.FEATURE),
        **SUPPORTING_OFFER,
    },
    sources=(Source(blood_pressure.MEASUREMENT, BloodPressureMeaning(), indicated=True),),
    records=None,
    virtual_name="Virtual cuff",
)
