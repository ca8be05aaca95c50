"""The Roche Accu-Chek Guide, as one was captured on the air.

It keeps to the Glucose Profile, but: its clock is a Date Time in the glucose service itself, there is no
Current Time Service and no Battery Service; every record has a time offset, and the sample is of type 8 at
location 15, whatever was pricked. Below its range it writes −INF and status bit 6, not a number. Other
Accu-Chek meters (the Instant) have the same form of name.
"""

from device_profiles.devices import glucose_meter
from device_profiles.profile import STANDARD_OFFER, Match
from device_profiles.services import current_time, device_information, glucose

PROFILE = glucose_meter.PROFILE.but(
    name="accu-chek-guide",
    title="Accu-Chek Guide",
    manufacturer="Roche",
    known_by="captured",
    source="jbravo94/simple-ble-glucose-reader@6f595b217cbb misc/mysugr_dump/btsnoop_hci.log; "
    "the Instant's name: weliem/blessed-android#35",
    match=Match(names=(r"meter\+\d{8}",), services=(glucose.SERVICE,), manufacturer_id=0x0170),
    offer={
        glucose.SERVICE: (*STANDARD_OFFER[glucose.SERVICE], current_time.DATE_TIME),
        device_information.SERVICE: (
            *STANDARD_OFFER[device_information.SERVICE],
            device_information.PNP_ID,
        ),
    },
    clock=current_time.DATE_TIME,
    virtual_name="meter+00000000",
)
