"""What a check of a profile found: the clause it is about, what was seen, and what to change."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Final


class State(StrEnum):
    """How a check ended."""

    PASSED = "passed"
    ADVICE = "advice"
    """Nothing is wrong, and something could be better known."""
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of a check. `seen` and `change` are English sentences with {fields}; French in the catalogue.

    No field holds anything of a person: all devices here are virtual, and all records made up or public.
    """

    check: str
    """Its name, which stays the same: `vectors`, `fault disconnect_after=2`."""
    state: State
    clause: str
    """Of a specification, in its own numbering."""
    seen: str
    change: str = ""
    fields: Mapping[str, object] = field(default_factory=lambda: MappingProxyType({}), hash=False)


def passed(check: str, clause: str, seen: str, **fields: object) -> Finding:
    """What is as it must be."""
    return Finding(check, State.PASSED, clause, seen, fields=fields)


def failed(check: str, clause: str, seen: str, change: str, **fields: object) -> Finding:
    """What is not."""
    return Finding(check, State.FAILED, clause, seen, change, fields)


def advice(check: str, clause: str, seen: str, change: str, **fields: object) -> Finding:
    """What could be better known."""
    return Finding(check, State.ADVICE, clause, seen, change, fields)


MEASURED: Final[Mapping[int, str]] = MappingProxyType(
    {
        0x2A18: "GLS 1.0.1 §3.1",
        0x2A34: "GLS 1.0.1 §3.2",
        0x2A35: "BLS 1.1.1 §3.1",
        0x2A36: "BLS 1.1.1 §3.2",
        0x2A1C: "HTS 1.0 §3.1",
        0x2A1E: "HTS 1.0 §3.3",
        0x2A37: "HRS 1.0 §3.1",
        0x2A5E: "PLXS 1.0.1 §3.1",
        0x2A5F: "PLXS 1.0.1 §3.2",
        0x2A9C: "BCS 1.0 §3.2",
        0x2A9D: "WSS 1.0.1 §3.2",
        0x2AA7: "CGMS 1.0.2 §3.1",
    }
)
"""The clause that says how the values of a characteristic are written."""

SERVED: Final = "Core Vol 3 Part G §3"
ADVERTISED: Final = "Core Specification Supplement Part A §1.1, §1.2, §1.4"
ANY_VALUE: Final = "Core Vol 3 Part F §3.4.7"
TAKEN: Final = "Core Vol 3 Part F §3.4.7.3"
RECORDS: Final[Mapping[int, str]] = MappingProxyType(
    {0x2A18: "GLS 1.0.1 §3.4", 0x2AA7: "CGMS 1.0.2 §3.1", 0x2A5E: "PLXS 1.0.1 §3.4"}
)
"""The clause of the control point that gives the values of a characteristic."""
PAIRING: Final = "Core Vol 3 Part H §2.3"
CLOCK: Final = "CTS 1.1 §3.1"
SHARED: Final = "FHIR R4B Observation"


def measured(characteristic: int) -> str:
    """The clause of a characteristic; of a private one its maker's own."""
    return MEASURED.get(characteristic, f"0x{characteristic:04X}")
