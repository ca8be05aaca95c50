"""A scale that keeps to the Weight Scale Profile (WSP 1.0) and its service (WSS 1.0.1).

Many compute a body composition too (BCS 1.0), and some of those advertise that service alone: they are the
same device. As a cuff, it sends what it measured when somebody listens, and forgets what was confirmed.
"""

from device_profiles.meanings.weight import BodyCompositionMeaning, WeightMeaning
from device_profiles.profile import SUPPORTING_OFFER, DeviceProfile, Match, Source
from device_profiles.services import body_composition, weight_scale

PROFILE = DeviceProfile(
    name="weight-scale",
    title="Weight scale (standard Bluetooth profile)",
    manufacturer=None,
    known_by="standard",
    source="Bluetooth SIG, Weight Scale Service 1.0.1 and Body Composition Service 1.0",
    match=Match(services=(weight_scale.SERVICE,)),
    offer={
        weight_scale.SERVICE: (weight_scale.MEASUREMENT, weight_scale.FEATURE),
        body_composition.SERVICE: (body_composition.MEASUREMENT, body_composition.FEATURE),
        **SUPPORTING_OFFER,
    },
    sources=(
        Source(weight_scale.MEASUREMENT, WeightMeaning(), indicated=True),
        Source(body_composition.MEASUREMENT, BodyCompositionMeaning(), indicated=True),
    ),
    records=None,
    virtual_name="Virtual scale",
)
