"""An oximeter that keeps to the Pulse Oximeter Profile (PLXP 1.0.1) and its service (PLXS 1.0.1).

It gives its spot checks when asked, all of them each time: its control point knows no other operator
(PLXS §3.4). One without a control point sends each spot check by itself, one that only measures while it is
worn sends a value every second.
"""

from device_profiles.meanings.oximetry import ContinuousMeaning, SpotCheckMeaning
from device_profiles.profile import SUPPORTING_OFFER, DeviceProfile, Match, RecordAccess, Source
from device_profiles.services import glucose, pulse_oximeter

PROFILE = DeviceProfile(
    name="pulse-oximeter",
    title="Pulse oximeter (standard Bluetooth profile)",
    manufacturer=None,
    known_by="standard",
    source="Bluetooth SIG, Pulse Oximeter Profile 1.0.1 and Pulse Oximeter Service 1.0.1",
    match=Match(services=(pulse_oximeter.SERVICE,)),
    offer={
        pulse_oximeter.SERVICE: (
            pulse_oximeter.SPOT_CHECK,
            pulse_oximeter.CONTINUOUS,
            pulse_oximeter.FEATURES,
            glucose.RECORD_ACCESS_CONTROL_POINT,
        ),
        **SUPPORTING_OFFER,
    },
    sources=(
        Source(pulse_oximeter.SPOT_CHECK, SpotCheckMeaning(), indicated=True, stored=True),
        Source(pulse_oximeter.CONTINUOUS, ContinuousMeaning(), live=True),
    ),
    records=RecordAccess(
        measurement=pulse_oximeter.SPOT_CHECK, optional=True, counted=False, incremental=False
    ),
    virtual_name="Virtual oximeter",
)
