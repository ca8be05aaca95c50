"""A sensor that keeps to the Continuous Glucose Monitoring Profile (CGMP 1.0.2) and its service (CGMS 1.0.2).

Its records are numbered by the minutes since its session began, and each session begins at 0 again: what is
new is asked for from the last minute of this session, not from the highest number that was ever seen.
"""

from device_profiles.meanings.continuous_glucose import ContinuousGlucoseMeaning
from device_profiles.profile import SUPPORTING_OFFER, DeviceProfile, Match, RecordAccess, Source
from device_profiles.services import continuous_glucose as cgm
from device_profiles.services import glucose

PROFILE = DeviceProfile(
    name="glucose-sensor",
    title="Glucose sensor (standard Bluetooth profile)",
    manufacturer=None,
    known_by="standard",
    source="Bluetooth SIG, Continuous Glucose Monitoring Profile 1.0.2 and Service 1.0.2",
    match=Match(services=(cgm.SERVICE,)),
    offer={
        cgm.SERVICE: (
            *(cgm.MEASUREMENT, cgm.FEATURE, cgm.STATUS, cgm.SESSION_START_TIME, cgm.SESSION_RUN_TIME),
            glucose.RECORD_ACCESS_CONTROL_POINT,
            cgm.SPECIFIC_OPS_CONTROL_POINT,
        ),
        **SUPPORTING_OFFER,
    },
    clock=None,
    sources=(Source(cgm.MEASUREMENT, ContinuousGlucoseMeaning(), stored=True),),
    records=RecordAccess(measurement=cgm.MEASUREMENT, counted=False, incremental=False),
    reads_before=(cgm.SESSION_START_TIME, cgm.FEATURE),
    virtual_name="Virtual sensor",
)
