"""A scale that advertises the Body Composition Service (BCS 1.0); whether it weighs too, its services say."""

from device_profiles.devices import weight_scale
from device_profiles.profile import Match
from device_profiles.services import body_composition

PROFILE = weight_scale.PROFILE.but(
    name="body-composition-scale",
    title="Body composition scale (standard Bluetooth profile)",
    source="Bluetooth SIG, Body Composition Service 1.0",
    match=Match(services=(body_composition.SERVICE,)),
    virtual_name="Virtual body scale",
)
