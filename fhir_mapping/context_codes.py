"""What a meter's context (0x2A34) is called: its fields, and their values by the number the device wrote.

The sources are those of `codes`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

from fhir_mapping.codes import Coding, loinc, mdc


class Field(NamedTuple):
    """A field of the context: what it is called, and its values by the number the device wrote."""

    coding: Coding
    values: Mapping[int, Coding]


MEAL: Final = Field(
    mdc(128, 29256, "MDC_CTXT_GLU_MEAL"),
    {
        1: mdc(128, 29260, "MDC_CTXT_GLU_MEAL_PREPRANDIAL"),
        2: mdc(128, 29264, "MDC_CTXT_GLU_MEAL_POSTPRANDIAL"),
        3: mdc(128, 29268, "MDC_CTXT_GLU_MEAL_FASTING"),
        4: mdc(128, 29272, "MDC_CTXT_GLU_MEAL_CASUAL"),
        5: mdc(128, 29300, "MDC_CTXT_GLU_MEAL_BEDTIME"),
    },
)
TESTER: Final = Field(
    mdc(128, 29276, "MDC_CTXT_GLU_TESTER"),
    {
        1: mdc(128, 29280, "MDC_CTXT_GLU_TESTER_SELF"),
        2: mdc(128, 29284, "MDC_CTXT_GLU_TESTER_HCP"),
        3: mdc(128, 29288, "MDC_CTXT_GLU_TESTER_LAB"),
    },
)
HEALTH: Final = Field(
    mdc(128, 29212, "MDC_CTXT_GLU_HEALTH"),
    {
        1: mdc(128, 29216, "MDC_CTXT_GLU_HEALTH_MINOR"),
        2: mdc(128, 29220, "MDC_CTXT_GLU_HEALTH_MAJOR"),
        3: mdc(128, 29224, "MDC_CTXT_GLU_HEALTH_MENSES"),
        4: mdc(128, 29228, "MDC_CTXT_GLU_HEALTH_STRESS"),
        5: mdc(128, 29232, "MDC_CTXT_GLU_HEALTH_NONE"),
    },
)
CARBOHYDRATE: Final = Field(
    mdc(128, 29156, "MDC_CTXT_GLU_CARB"),
    {
        1: mdc(128, 29160, "MDC_CTXT_GLU_CARB_BREAKFAST"),
        2: mdc(128, 29164, "MDC_CTXT_GLU_CARB_LUNCH"),
        3: mdc(128, 29168, "MDC_CTXT_GLU_CARB_DINNER"),
        4: mdc(128, 29172, "MDC_CTXT_GLU_CARB_SNACK"),
        5: mdc(128, 29176, "MDC_CTXT_GLU_CARB_DRINK"),
        6: mdc(128, 29180, "MDC_CTXT_GLU_CARB_SUPPER"),
        7: mdc(128, 29184, "MDC_CTXT_GLU_CARB_BRUNCH"),
    },
)
MEDICATION: Final = Field(
    mdc(128, 29188, "MDC_CTXT_MEDICATION"),
    {
        1: mdc(128, 29192, "MDC_CTXT_MEDICATION_RAPIDACTING"),
        2: mdc(128, 29196, "MDC_CTXT_MEDICATION_SHORTACTING"),
        3: mdc(128, 29200, "MDC_CTXT_MEDICATION_INTERMEDIATEACTING"),
        4: mdc(128, 29204, "MDC_CTXT_MEDICATION_LONGACTING"),
        5: mdc(128, 29208, "MDC_CTXT_MEDICATION_PREMIX"),
    },
)
EXERCISE: Final = mdc(128, 29152, "MDC_CTXT_GLU_EXERCISE")
EXERCISE_DURATION: Final = loinc("55411-3", "Exercise duration")
EXERCISE_OVERRUN: Final = 65535
"""The exercise duration that means "this or longer" (GLS 3.2)."""
HBA1C: Final = (
    loinc("4548-4", "Hemoglobin A1c/Hemoglobin.total in Blood"),
    mdc(2, 29148, "MDC_CONC_HBA1C"),
)
