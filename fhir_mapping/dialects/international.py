"""FHIR R4 as any server takes it, with the codes of HL7 PHD beside LOINC.

A profile is claimed where the bytes conform: HL7 CGM 1.0.0 for sensor readings whose time is known. That of
HL7 PHD is not: it wants the gateway's own Device, and a measurement status in each interpretation.
"""

from __future__ import annotations

from typing import Final

from fhir_mapping.codes import INTERNATIONAL_ROWS
from fhir_mapping.dialects import Dialect

INTERNATIONAL: Final = Dialect(name="international", rows=INTERNATIONAL_ROWS)
