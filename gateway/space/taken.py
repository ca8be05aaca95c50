"""What became of a transaction, as it is answered."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from fhir_mapping.bundle import transaction_response
from storage.observation_versions import Version


class Revised(NamedTuple):
    """What became of one Observation: its name, `Observation/{id}`, and its version."""

    name: str
    version: Version


@dataclass(slots=True)
class Taken:
    """What became of a transaction: answers by the first entry that each is for, and what was revised.

    `created` readings are new, `known` ones are there already or were told a version of.
    """

    created: int = 0
    known: int = 0
    answers: dict[int, bytes] = field(default_factory=dict)
    revised: list[Revised] = field(default_factory=list)

    def response(self) -> bytes:
        """The Bundle that answers."""
        return transaction_response([self.answers[entry] for entry in sorted(self.answers)])
