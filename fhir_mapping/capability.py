"""What a space says of itself: the CapabilityStatement at `/fhir/metadata`."""

from __future__ import annotations

from typing import Final

from fhir_mapping.search import OFFERED
from fhir_mapping.text import dumps

SINCE: Final = "2026-11-25"
"""The day on which what is said here became true; moved by whoever changes it."""

_TYPES: Final = dict(OFFERED)


def capability_statement(base: str, version: str) -> bytes:
    """The statement of the server at `base`; `version`: of the software."""
    return dumps(
        {
            "resourceType": "CapabilityStatement",
            "status": "active",
            "date": SINCE,
            "kind": "instance",
            "software": {"name": "Passerelle", "version": version},
            "implementation": {
                "description": "A patient space: readings of personal health devices",
                "url": base,
            },
            "fhirVersion": "4.0.1",
            "format": ["application/fhir+json"],
            "rest": [
                {
                    "mode": "server",
                    "security": {
                        "service": [
                            {
                                "coding": [
                                    {
                                        "system": "http://terminology.hl7.org/CodeSystem/restful-security-service",
                                        "code": "OAuth",
                                        "display": "OAuth",
                                    }
                                ]
                            }
                        ],
                        "description": "Reading: the bearer token of a grant that the person gave; it opens "
                        "their own resources, of the kinds, the period and until the end that they chose. "
                        "Writing: the bearer token of a registered gateway.",
                    },
                    "resource": [_observation(), _patient(), _device()],
                    "interaction": [{"code": "transaction"}],
                }
            ],
        }
    )


def _observation() -> dict[str, object]:
    return {
        "type": "Observation",
        "documentation": "Pages are in the order of the time (`_sort`: -date, the newest first, unless date "
        "is asked for) and go on by the link `next`. A total is counted where `_total=accurate` asks for it "
        "and it is cheap.",
        "interaction": [{"code": code} for code in ("read", "search-type", "create", "update", "delete")],
        "versioning": "versioned-update",
        "readHistory": False,
        "updateCreate": False,
        "conditionalCreate": True,
        "conditionalRead": "not-match",
        "searchInclude": ["Observation:device", "Observation:patient", "Observation:subject"],
        "searchParam": [{"name": name, "type": of_type} for name, of_type in OFFERED],
    }


def _patient() -> dict[str, object]:
    return {
        "type": "Patient",
        "interaction": [{"code": code} for code in ("read", "create")],
        "versioning": "no-version",
        "conditionalCreate": True,
    }


def _device() -> dict[str, object]:
    return {
        "type": "Device",
        "interaction": [{"code": code} for code in ("read", "search-type", "create")],
        "versioning": "no-version",
        "conditionalCreate": True,
        "searchParam": [{"name": "patient", "type": _TYPES["patient"]}],
    }
