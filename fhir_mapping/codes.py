"""The table: what each kind, sample type, unit and context is called in LOINC, MDC and UCUM.

Sources:
- LOINC: finger-stick codes by the sample type of 0x2A18 (capillary by glucometer, whole blood, plasma, each
  by mass and by moles); sensor codes as fixed by HL7 CGM 1.0.0 (`cgm-sensor-reading-*`).
- MDC: ISO/IEEE 11073-10101 and 11073-10417, as HL7 PHD uses them: a code is partition × 65536 + term
  (partition 2 for what is measured, 128 for its context), its display is the reference identifier.
- Status bits: HL7 PHD's CodeSystem ASN1ToHL7, `8417752.n`: the same bits as 0x2A18's status annunciation, up
  to bit 10. Bit 11 is a time fault there and a temperature in PHD, so it has only a code of ours.
- Special values: HL7 PHD, "FLOATS": NaN, ±infinity, and `error` for the two others.
- Numbers of the context: Bluetooth GLS 1.0, 0x2A34.

Beside each borrowed code stands one of ours (`urn:passerelle:…`): the number as the device wrote it,
reserved ones included, so that nothing is lost on the way through FHIR and back. The URN is a name and is
never fetched; this project owns no domain, and a URL under another's, or one that lapses, would be worse.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntFlag
from functools import cache
from typing import Final, NamedTuple

from device_profiles.reading import Absent, Flag, Kind, Measurand

OURS: Final = "urn:passerelle"
LOINC: Final = "http://loinc.org"
MDC: Final = "urn:iso:std:iso:11073:10101"
UCUM: Final = "http://unitsofmeasure.org"
ABSENT_REASON: Final = "http://terminology.hl7.org/CodeSystem/data-absent-reason"
ABSENT_REASON_EXTENSION: Final = "http://hl7.org/fhir/StructureDefinition/data-absent-reason"
INTERPRETATION: Final = "http://terminology.hl7.org/CodeSystem/v3-ObservationInterpretation"
STATUS_BITS: Final = "http://terminology.hl7.org/CodeSystem/ASN1ToHL7"
READING: Final = f"{OURS}:reading"
"""The system of the identifier that makes an Observation be created once."""
SAMPLE_TYPE: Final = f"{OURS}:sample-type"
SAMPLE_LOCATION: Final = f"{OURS}:sample-location"
"""Extensions: the two numbers of 0x2A18's type-sample-location octet, as written."""
TIME_SOURCE: Final = f"{OURS}:time-source"
"""Extension of the time: how it is known, where it is not simply the device's."""
EXCLUDED: Final = f"{OURS}:excluded"
"""Extension: the person left the reading out of their statistics."""
DERIVED_EXTENSION: Final = f"{OURS}:derived"
"""Extension: the device computed it of what it measured, by a formula of its own."""
FIELD: Final = f"{OURS}:field"
"""Which field of the context, or which measurand, a component is."""
STATUS: Final = f"{OURS}:status"
"""Which bit of the device's status a component is."""
ABSENT_OURS: Final = f"{OURS}:absent"
"""Why a value is absent, in our own words: FHIR has one code for two reasons."""
UNIT: Final = f"{OURS}:unit"
"""Extension: the unit that an absent value would have had."""
PHD_IDENTIFIER: Final = "http://hl7.org/fhir/uv/phd/StructureDefinition/PhdBaseObservation"


class Coding(NamedTuple):
    """One code, as FHIR writes it."""

    system: str
    code: str
    display: str

    def json(self) -> dict[str, str]:
        """The FHIR Coding."""
        return {"system": self.system, "code": self.code, "display": self.display}


def loinc(code: str, display: str) -> Coding:
    """A LOINC code."""
    return Coding(LOINC, code, display)


def mdc(partition: int, term: int, reference: str) -> Coding:
    """An MDC code by partition and term."""
    return Coding(MDC, str(partition * 65536 + term), reference)


LABORATORY: Final = Coding(
    "http://terminology.hl7.org/CodeSystem/observation-category", "laboratory", "Laboratory"
)
VITAL_SIGNS: Final = Coding(
    "http://terminology.hl7.org/CodeSystem/observation-category", "vital-signs", "Vital Signs"
)
PHD: Final = Coding(
    "http://hl7.org/fhir/uv/phd/CodeSystem/PhdObservationCategories", "phd", "PHD generated Observation"
)


class Row(NamedTuple):
    """What one kind of reading is called, in one unit.

    `mdc` is the code that HL7 PHD's identifier names. `unit_text` is what people read; `profile` is claimed
    only for readings that conform to it. `panel`: all quantities are components.
    """

    codings: tuple[Coding, ...]
    category: Coding | None
    unit_text: str
    profile: str | None = None
    panel: bool = False
    sited: bool = True
    """Whether the place on the body may be said by an MDC code."""

    @property
    def mdc(self) -> Coding | None:
        """The MDC code among the codings."""
        return next((coding for coding in self.codings if coding.system == MDC), None)


Rows = Mapping[tuple[Kind, int | None, str], Row | None]
"""By kind, sample type (None: any other) and unit; None: such a reading has no code."""

MG_DL: Final = "mg/dL"
MMOL_L: Final = "mmol/L"

CAPILLARY: Final = {
    MG_DL: loinc("41653-7", "Glucose [Mass/volume] in Capillary blood by Glucometer"),
    MMOL_L: loinc("14743-9", "Glucose [Moles/volume] in Capillary blood by Glucometer"),
}
WHOLE_BLOOD: Final = {
    MG_DL: loinc("2339-0", "Glucose [Mass/volume] in Blood"),
    MMOL_L: loinc("15074-8", "Glucose [Moles/volume] in Blood"),
}
PLASMA: Final = {
    MG_DL: loinc("2345-7", "Glucose [Mass/volume] in Serum or Plasma"),
    MMOL_L: loinc("14749-6", "Glucose [Moles/volume] in Serum or Plasma"),
}
INTERSTITIAL: Final = {
    MG_DL: loinc("99504-3", "Glucose [Mass/volume] in Interstitial fluid"),
    MMOL_L: loinc("105272-9", "Glucose [Moles/volume] in Interstitial fluid"),
}

GLUCOSE_SAMPLES: Final[Mapping[int | None, tuple[Mapping[str, Coding], Coding]]] = {
    None: (WHOLE_BLOOD, mdc(2, 28948, "MDC_CONC_GLU_GEN")),
    1: (CAPILLARY, mdc(2, 29112, "MDC_CONC_GLU_CAPILLARY_WHOLEBLOOD")),
    2: (CAPILLARY, mdc(2, 29116, "MDC_CONC_GLU_CAPILLARY_PLASMA")),
    3: (WHOLE_BLOOD, mdc(2, 29120, "MDC_CONC_GLU_VENOUS_WHOLEBLOOD")),
    4: (PLASMA, mdc(2, 29124, "MDC_CONC_GLU_VENOUS_PLASMA")),
    5: (WHOLE_BLOOD, mdc(2, 29128, "MDC_CONC_GLU_ARTERIAL_WHOLEBLOOD")),
    6: (PLASMA, mdc(2, 29132, "MDC_CONC_GLU_ARTERIAL_PLASMA")),
    7: (WHOLE_BLOOD, mdc(2, 29292, "MDC_CONC_GLU_UNDETERMINED_WHOLEBLOOD")),
    8: (PLASMA, mdc(2, 29296, "MDC_CONC_GLU_UNDETERMINED_PLASMA")),
}
"""Blood glucose by the sample type of 0x2A18 (GLS 3.1.1.5)."""

INTERSTITIAL_FLUID: Final = 9
CONTROL: Final = 10
"""Sample types that are no blood: a reading of these types never has a blood glucose code."""

CGM_PROFILES: Final = {
    MG_DL: "http://hl7.org/fhir/uv/cgm/StructureDefinition/cgm-sensor-reading-mass-per-volume",
    MMOL_L: "http://hl7.org/fhir/uv/cgm/StructureDefinition/cgm-sensor-reading-moles-per-volume",
}
CGM_UNITS: Final = {MG_DL: "mg/dl", MMOL_L: "mmol/l"}
"""HL7 CGM fixes the text of the unit too."""

KETONE_CODES: Final = {
    MG_DL: (Coding(f"{OURS}:kind", "ketone", "Beta hydroxybutyrate in blood"),),
    MMOL_L: (loinc("66441-7", "Beta hydroxybutyrate [Moles/volume] in Blood by Test strip"),),
}
CONTROL_CODES: Final = (
    Coding(f"{OURS}:kind", "control-solution", "Control solution, not of a person"),
    mdc(2, 29136, "MDC_CONC_GLU_CONTROL"),
)


def _glucose_rows() -> dict[tuple[Kind, int | None, str], Row]:
    rows: dict[tuple[Kind, int | None, str], Row] = {}
    for unit in (MG_DL, MMOL_L):
        for sample, (by_unit, reference) in GLUCOSE_SAMPLES.items():
            rows[Kind.BLOOD_GLUCOSE, sample, unit] = Row((by_unit[unit], reference), LABORATORY, unit)
        sensor = Row(
            (INTERSTITIAL[unit], mdc(2, 29140, "MDC_CONC_GLU_ISF")),
            LABORATORY,
            CGM_UNITS[unit],
            CGM_PROFILES[unit],
        )
        rows[Kind.INTERSTITIAL_GLUCOSE, None, unit] = sensor
        rows[Kind.BLOOD_GLUCOSE, INTERSTITIAL_FLUID, unit] = sensor
        control = Row(CONTROL_CODES, None, unit)
        rows[Kind.CONTROL_SOLUTION, None, unit] = control
        rows[Kind.BLOOD_GLUCOSE, CONTROL, unit] = control
        rows[Kind.KETONE, None, unit] = Row(KETONE_CODES[unit], LABORATORY, unit)
    return rows


MEASURANDS: Final[Mapping[Measurand, tuple[Coding, ...]]] = {
    Measurand.SYSTOLIC: (
        loinc("8480-6", "Systolic blood pressure"),
        mdc(2, 18949, "MDC_PRESS_BLD_NONINV_SYS"),
    ),
    Measurand.DIASTOLIC: (
        loinc("8462-4", "Diastolic blood pressure"),
        mdc(2, 18950, "MDC_PRESS_BLD_NONINV_DIA"),
    ),
    Measurand.MEAN_ARTERIAL: (
        loinc("8478-0", "Mean blood pressure"),
        mdc(2, 18951, "MDC_PRESS_BLD_NONINV_MEAN"),
    ),
    Measurand.PULSE_RATE: (loinc("8867-4", "Heart rate"), mdc(2, 18474, "MDC_PULS_RATE_NON_INV")),
    Measurand.BODY_WEIGHT: (loinc("29463-7", "Body weight"), mdc(2, 57664, "MDC_MASS_BODY_ACTUAL")),
    Measurand.BODY_HEIGHT: (loinc("8302-2", "Body height"), mdc(2, 57668, "MDC_LEN_BODY_ACTUAL")),
    Measurand.BODY_MASS_INDEX: (
        loinc("39156-5", "Body mass index (BMI) [Ratio]"),
        mdc(2, 57680, "MDC_RATIO_MASS_BODY_LEN_SQ"),
    ),
    Measurand.BODY_TEMPERATURE: (loinc("8310-5", "Body temperature"), mdc(2, 19292, "MDC_TEMP_BODY")),
    Measurand.BODY_FAT: (
        loinc("41982-0", "Percentage of body fat Measured"),
        mdc(2, 57676, "MDC_BODY_FAT"),
    ),
    Measurand.BODY_MUSCLE: (mdc(2, 57700, "MDC_BODY_MUSCLE"),),
    Measurand.MUSCLE_MASS: (mdc(2, 57704, "MDC_MASS_BODY_MUSCLE"),),
    Measurand.FAT_FREE_MASS: (mdc(2, 57684, "MDC_MASS_BODY_FAT_FREE"),),
    Measurand.SOFT_LEAN_MASS: (mdc(2, 57688, "MDC_MASS_BODY_SOFT_LEAN"),),
    Measurand.BODY_WATER_MASS: (mdc(2, 57692, "MDC_BODY_WATER"),),
    Measurand.BASAL_METABOLISM: (mdc(2, 57696, "MDC_BASAL_METABOLISM"),),
    Measurand.PULSE_AMPLITUDE: (mdc(2, 19248, "MDC_SAT_O2_QUAL"),),
    Measurand.GLUCOSE_TREND: (mdc(2, 29400, "MDC_CONC_GLU_TREND"),),
    Measurand.OXYGEN_SATURATION: (
        loinc("2708-6", "Oxygen saturation in Arterial blood"),
        loinc("59408-5", "Oxygen saturation in Arterial blood by Pulse oximetry"),
        mdc(2, 19384, "MDC_PULS_OXIM_SAT_O2"),
    ),
}
"""What a quantity is called when it is a component, or the only one.

What has no code here (impedance, the quality of a sensor, energy, the user's index) has only ours.
"""

BLOOD_PRESSURE_PANEL: Final = (
    loinc("85354-9", "Blood pressure panel with all children optional"),
    mdc(2, 18948, "MDC_PRESS_BLD_NONINV"),
)

INTERNATIONAL_ROWS: Final[Rows] = {
    **_glucose_rows(),
    **{
        (Kind.BLOOD_PRESSURE, None, unit): Row(BLOOD_PRESSURE_PANEL, VITAL_SIGNS, text, panel=True)
        for unit, text in {"mm[Hg]": "mmHg", "kPa": "kPa"}.items()
    },
    **{
        (kind, None, unit): Row(MEASURANDS[measurand], VITAL_SIGNS, text)
        for kind, measurand, unit, text in (
            (Kind.BODY_WEIGHT, Measurand.BODY_WEIGHT, "kg", "kg"),
            (Kind.BODY_WEIGHT, Measurand.BODY_WEIGHT, "[lb_av]", "lb"),
            (Kind.BODY_COMPOSITION, Measurand.BODY_FAT, "%", "%"),
            (Kind.BODY_TEMPERATURE, Measurand.BODY_TEMPERATURE, "Cel", "°C"),
            (Kind.BODY_TEMPERATURE, Measurand.BODY_TEMPERATURE, "[degF]", "°F"),
            (Kind.OXYGEN_SATURATION, Measurand.OXYGEN_SATURATION, "%", "%"),
            (Kind.HEART_RATE, Measurand.PULSE_RATE, "/min", "/min"),
        )
    },
}

DEVICE_SPECIALIZATIONS: Final[Mapping[Kind, Coding]] = {
    Kind.BLOOD_GLUCOSE: mdc(8, 4113, "MDC_DEV_SPEC_PROFILE_GLUCOSE"),
    Kind.INTERSTITIAL_GLUCOSE: mdc(8, 4121, "MDC_DEV_SPEC_PROFILE_CGM"),
    Kind.BLOOD_PRESSURE: mdc(8, 4103, "MDC_DEV_SPEC_PROFILE_BP"),
    Kind.BODY_WEIGHT: mdc(8, 4111, "MDC_DEV_SPEC_PROFILE_SCALE"),
    Kind.BODY_COMPOSITION: mdc(8, 4117, "MDC_DEV_SPEC_PROFILE_BCA"),
    Kind.BODY_TEMPERATURE: mdc(8, 4104, "MDC_DEV_SPEC_PROFILE_TEMP"),
    Kind.OXYGEN_SATURATION: mdc(8, 4100, "MDC_DEV_SPEC_PROFILE_PULS_OXIM"),
}
"""HL7 PHD, value set DeviceTypes11073MDC."""


class AbsentCode(NamedTuple):
    """Why there is no value, and on which side of the device's range it lies."""

    reason: Coding
    interpretation: Coding | None = None


_NO_MEASUREMENT = Coding(ABSENT_REASON, "error", "Error")

ABSENT: Final[Mapping[Absent, AbsentCode]] = {
    Absent.NOT_A_NUMBER: AbsentCode(Coding(ABSENT_REASON, "not-a-number", "Not a Number (NaN)")),
    Absent.NOT_AT_RESOLUTION: AbsentCode(_NO_MEASUREMENT),
    Absent.RESERVED: AbsentCode(_NO_MEASUREMENT),
    Absent.ABOVE_RANGE: AbsentCode(
        Coding(ABSENT_REASON, "positive-infinity", "Positive Infinity (PINF)"),
        Coding(INTERPRETATION, ">", "Off scale high"),
    ),
    Absent.BELOW_RANGE: AbsentCode(
        Coding(ABSENT_REASON, "negative-infinity", "Negative Infinity (NINF)"),
        Coding(INTERPRETATION, "<", "Off scale low"),
    ),
}


@cache
def status_names(meaning: type[IntFlag]) -> Mapping[int, str]:
    """By status bit; the bits that the specification reserves have no name."""
    named = {flag.value.bit_length() - 1: flag for flag in meaning}
    return {bit: str(flag.name).lower().replace("_", "-") for bit, flag in named.items()}


class StatusBits(NamedTuple):
    """What HL7 PHD calls a status, and how many of its bits mean the same there."""

    code: int
    bits: int


STATUS_BITS_OF: Final[Mapping[type[IntFlag], StatusBits]] = {
    Flag: StatusBits(128 * 65536 + 29144, 11),
}

BLOOD_SITES: Final[Mapping[int, Coding]] = {
    1: mdc(128, 29240, "MDC_CTXT_GLU_SAMPLELOCATION_FINGER"),
    2: mdc(128, 29244, "MDC_CTXT_GLU_SAMPLELOCATION_AST"),
    3: mdc(128, 29248, "MDC_CTXT_GLU_SAMPLELOCATION_EARLOBE"),
}
"""By the sample location of 0x2A18: only those that are a place on the body (4 is the control solution)."""

TEMPERATURE_SITES: Final[Mapping[int, Coding]] = {
    1: mdc(2, 57380, "MDC_TEMP_AXILLA"),
    2: mdc(2, 19292, "MDC_TEMP_BODY"),
    3: mdc(2, 57356, "MDC_TEMP_EAR"),
    4: mdc(2, 57360, "MDC_TEMP_FINGER"),
    5: mdc(2, 57384, "MDC_TEMP_GIT"),
    6: mdc(2, 57352, "MDC_TEMP_ORAL"),
    7: mdc(2, 57348, "MDC_TEMP_RECT"),
    8: mdc(2, 57376, "MDC_TEMP_TOE"),
    9: mdc(2, 19320, "MDC_TEMP_TYMP"),
}
"""By the number of 0x2A1D; HL7 PHD names the place in the code of the temperature, so these are its codes."""


def body_site(kind: Kind, location: int) -> Coding | None:
    """Where it was measured, by the number of a reading's sample; None where there is no code for it."""
    if kind is Kind.BODY_TEMPERATURE:
        return TEMPERATURE_SITES.get(location)
    return None if kind is Kind.HEART_RATE else BLOOD_SITES.get(location)
