"""The French "Mon espace santé": the guide "Mesures de santé" 3.1, for glucose `mesures-observation-glucose`.

Source: ansforge/IG-fhir-mesures-de-sante, input/fsh/MesObservationGlucose.fsh and its value sets J154
(types), J157 (moments) and J163 (units). The guide has code-system URLs of its own, even for LOINC; takes
glucose in mg/dL only, so a reading in mmol/L is refused here rather than converted in silence; and requires a
time (the R4 vital-signs profile above it). Ketones and control solutions have no code and are refused. The
meal becomes the extension of the moment; the guide has no place for the rest of the context, which stays at
home. Its transaction (Bundle d'alimentation) creates exactly one Observation and at most one Device. The
guide's example 001 puts a glucose value under the code of HbA1c: not followed.

Beside glucose: blood pressure (mm[Hg]), weight (kg), temperature (Cel), oxygen saturation and heart rate, by
the profiles `mesures-fr-observation-*` of the same guide (MesFrObservationBp, …BodyWeight, …BodyTemperature,
…OxygenSat, …Heartrate), which take their code from R4's vital signs, in its own LOINC, and one unit each:
another unit is refused, not converted. Where a temperature was taken they want from a French list only, so it
is not said. A body composition has no profile.
"""

from __future__ import annotations

from typing import Final

from device_profiles.reading import Kind
from fhir_mapping.codes import CONTROL, INTERSTITIAL_FLUID, MG_DL, VITAL_SIGNS, Coding, Row, loinc
from fhir_mapping.dialects import Dialect, Moments

GUIDE: Final = "https://interop.esante.gouv.fr/ig/fhir/mesures/StructureDefinition"
PROFILE: Final = f"{GUIDE}/mesures-observation-glucose"
LOINC_FR: Final = "https://mos.esante.gouv.fr/NOS/TRE_A04-Loinc/FHIR/TRE-A04-Loinc"
TAASIP: Final = "https://mos.esante.gouv.fr/NOS/TRE_R308-TAASIP/FHIR/TRE-R308-TAASIP"

# The profile fixes the display of the category's coding to this text.
_CATEGORY: Final = VITAL_SIGNS._replace(display="vital-signs")
_BLOOD: Final = Row((Coding(LOINC_FR, "2345-7", "Glucose sanguin"),), _CATEGORY, MG_DL, PROFILE)
_INTERSTITIAL: Final = Row((Coding(TAASIP, "MED-969", "Glucose interstitiel"),), _CATEGORY, MG_DL, PROFILE)


def _vital(profile: str, code: Coding, unit: str, *also: Coding, panel: bool = False) -> Row:
    """A row of one of the guide's vital signs."""
    name = f"{GUIDE}/mesures-fr-observation-{profile}"
    return Row((code, *also), _CATEGORY, unit, name, panel=panel, sited=False)


_OTHER_MOMENT: Final = Coding(LOINC_FR, "LA46-8", "Autre")

ANS: Final = Dialect(
    name="ans",
    rows={
        (Kind.BLOOD_GLUCOSE, None, MG_DL): _BLOOD,
        (Kind.BLOOD_GLUCOSE, INTERSTITIAL_FLUID, MG_DL): _INTERSTITIAL,
        (Kind.BLOOD_GLUCOSE, CONTROL, MG_DL): None,
        (Kind.INTERSTITIAL_GLUCOSE, None, MG_DL): _INTERSTITIAL,
        (Kind.BLOOD_PRESSURE, None, "mm[Hg]"): _vital(
            "bp", loinc("85354-9", "Blood pressure panel with all children optional"), "mmHg", panel=True
        ),
        (Kind.BODY_WEIGHT, None, "kg"): _vital("body-weight", loinc("29463-7", "Body weight"), "kg"),
        (Kind.BODY_TEMPERATURE, None, "Cel"): _vital(
            "body-temperature", loinc("8310-5", "Body temperature"), "°C"
        ),
        (Kind.OXYGEN_SATURATION, None, "%"): _vital(
            "oxygen-sat",
            loinc("2708-6", "Oxygen saturation in Arterial blood"),
            "%",
            loinc("59408-5", "Oxygen saturation in Arterial blood by Pulse oximetry"),
        ),
        (Kind.HEART_RATE, None, "/min"): _vital("heartrate", loinc("8867-4", "Heart rate"), "/min"),
    },
    moments=Moments(
        url=f"{GUIDE}/mesures-moment-of-measurement",
        by_meal={
            1: Coding(LOINC_FR, "88365-2", "Avant repas"),
            2: Coding(LOINC_FR, "16915-1", "Glucose post prandial"),
            3: Coding(LOINC_FR, "53049-3", "Glucose à jeun"),
            4: _OTHER_MOMENT,
            5: _OTHER_MOMENT,
        },
        after_exercise=Coding(LOINC_FR, "LA11865-5", "Après exercice"),
    ),
    takes_unknown_time=False,
    observations=1,
    takes_changes=False,
    knows_person=True,
)
