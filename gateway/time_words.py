"""How a time is known, in words: what stands beside it wherever a person reads it. Pure."""

from __future__ import annotations

from typing import Final

BESIDE: Final = {
    "device-corrected": "time corrected",
    "ordered": "time uncertain",
    "unknown": "time unknown",
    "person": "time as you said",
}
"""By the slug of `device_profiles.reading.TimeSource`: that is all a list of readings knows of it."""


def beside(source: str) -> str | None:
    """What is said, as the catalogue has it, beside a time that is not simply the device's; else None."""
    return BESIDE.get(source)


def is_doubtful(source: str) -> bool:
    """Whether a time is to be shown as one that may be another, or as none."""
    return source in {"ordered", "unknown"}
