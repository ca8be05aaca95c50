"""A sensor that keeps to the Heart Rate Profile (HRP 1.0) and its service (HRS 1.0).

It remembers nothing and has no clock: it sends a value every second while it is worn and somebody listens.
"""

from device_profiles.meanings.heart_rate import HeartRateMeaning
from device_profiles.profile import SUPPORTING_OFFER, DeviceProfile, Match, Source
from device_profiles.services import heart_rate

PROFILE = DeviceProfile(
    name="heart-rate-sensor",
    title="Heart rate sensor (standard Bluetooth profile)",
    manufacturer=None,
    known_by="standard",
    source="Bluetooth SIG, Heart Rate Profile 1.0 and Heart Rate Service 1.0",
    match=Match(services=(heart_rate.SERVICE,)),
    offer={
        heart_rate.SERVICE: (heart_rate.MEASUREMENT, heart_rate.BODY_SENSOR_LOCATION),
        **SUPPORTING_OFFER,
    },
    clock=None,
    sources=(Source(heart_rate.MEASUREMENT, HeartRateMeaning(), live=True),),
    records=None,
    reads_before=(heart_rate.BODY_SENSOR_LOCATION,),
    virtual_name="Virtual belt",
)
