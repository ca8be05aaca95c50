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


class SearchError(MappingError):
    """What can be wrong with a search. `parameter`: which one, where it is one of ours; never its value."""


class ParameterUnknown(SearchError):
    """A parameter that is not answered here, in a search that wants to be answered whole or not at all."""

    sentence = (
        "The parameter {parameter} is not answered here. Leave it out, or search without "
        "Prefer: handling=strict: then it is passed over, and the answer's own link shows what was "
        "understood."
    )


class ModifierUnknown(SearchError):
    """A modifier (`code:text`): to pass it over would answer another question (search.html 3.1.1.4.4)."""

    sentence = "Modifiers of the parameter {parameter} are not answered here. Search without one."


class DateNotUnderstood(SearchError):
    """A `date` that is none."""

    sentence = (
        "A date is written as 2026, 2026-03, 2026-03-02 or 2026-03-02T08:30:00Z, with eq, ne, gt, lt, ge, "
        "le, sa, eb or ap before it. Correct the parameter date."
    )


class CountNotUnderstood(SearchError):
    """A `_count` that is no number."""

    sentence = "How many readings a page holds is a whole number. Correct the parameter _count."


class TokenNotUnderstood(SearchError):
    """A code, status or identifier with more parts than it has."""

    sentence = "A code is written as code, or as system|code. Correct the parameter {parameter}."


class ReferenceNotUnderstood(SearchError):
    """A reference that names nothing."""

    sentence = (
        "A reference is written as an id, or as Patient/id or Device/id. Correct the parameter {parameter}."
    )


class ChoiceNotUnderstood(SearchError):
    """A parameter whose few values are known, with another one."""

    sentence = "The parameter {parameter} has one of these values here: {choices}."


class FormatNotOffered(SearchError):
    """Another form than JSON is asked for."""

    sentence = "Answers are in JSON here (application/fhir+json). Ask for that."


class CursorNotOurs(SearchError):
    """A `_cursor` that was altered, or belongs to another search."""

    sentence = (
        "This page does not belong to this search. Begin again without _cursor, and follow the next link of "
        "each answer."
    )


class TooManyValues(SearchError):
    """More values than a person asks."""

    sentence = "A search has at most {most} values. Search in several steps."


class TooCostly(SearchError):
    """A total was asked for that takes long to count."""

    sentence = "There are more than {most} readings: that many are not counted. Ask for a shorter period."
