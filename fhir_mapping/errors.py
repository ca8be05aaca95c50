"""What can go wrong between Readings and FHIR."""

from __future__ import annotations

from device_profiles.errors import PasserelleError


class MappingError(PasserelleError):
    """What can go wrong between Readings and FHIR."""


class NotInDialect(MappingError):
    """A reading that a dialect of FHIR has no honest word for: its kind, its unit, or its unknown time."""

    sentence = (
        "A {kind} reading in {unit} has no code in the dialect {dialect}. "
        "Leave readings of this kind out, or choose another dialect."
    )


class TimeNeeded(MappingError):
    """A dialect that refuses readings whose time is unknown was given one."""

    sentence = (
        "The dialect {dialect} takes no reading without a time. "
        "Leave out the readings whose time is unknown, or choose another dialect."
    )


class IdOutOfRange(MappingError):
    """A key with a number too large for an opaque id."""

    sentence = "The {field} of a reading is too large for a FHIR id. Please report this as a defect."


class NotAnOpaqueId(MappingError):
    """An id that this home never gave."""

    sentence = "There is nothing under this id. Check the address, or search again."


class NotOurObservation(MappingError):
    """An Observation that does not carry what this program writes."""

    sentence = (
        "This Observation was not written by Passerelle ({missing} is missing), so it is left as it is."
    )


class NotTaken(MappingError):
    """A part of a Bundle that a space does not take. `why` is a sentence of ours, and holds no value."""

    sentence = "This cannot be taken: {why}."
