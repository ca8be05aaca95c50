"""A thermometer that keeps to the Health Thermometer Profile (HTP 1.0) and its service (HTS 1.0).

It sends what it measured when somebody listens. What it shows while it still measures (0x2A1E) is no result
and is not asked for.
"""

from device_profiles.meanings.temperature import TemperatureMeaning
from device_profiles.profile import SUPPORTING_OFFER, DeviceProfile, Match, Source
from device_profiles.services import health_thermometer

PROFILE = DeviceProfile(
    name="thermometer",
    title="Thermometer (standard Bluetooth profile)",
    manufacturer=None,
    known_by="standard",
    source="Bluetooth SIG, Health Thermometer Profile 1.0 and Health Thermometer Service 1.0",
    match=Match(services=(health_thermometer.SERVICE,)),
    offer={
        health_thermometer.SERVICE: (health_thermometer.MEASUREMENT, health_thermometer.TEMPERATURE_TYPE),
        **SUPPORTING_OFFER,
    },
    sources=(Source(health_thermometer.MEASUREMENT, TemperatureMeaning(), indicated=True),),
    records=None,
    reads_before=(health_thermometer.TEMPERATURE_TYPE,),
    virtual_name="Virtual thermometer",
)
