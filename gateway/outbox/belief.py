"""Whether an answer can be what it says it is: of these entries, in this order, as far as it shows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from device_profiles.reading import Kind
from fhir_mapping.identifiers import device_digest, reading_identifier
from gateway.outbox.answers import Outcome
from gateway.outbox.plan import Page
from gateway.outbox.transactions import Transaction

_NOT_COMPARED: Final = ("id", "meta", "text", "subject", "device")
"""What a server may call otherwise without saying anything else of a reading."""


def fits(page: Page, transaction: Transaction, found: Sequence[Outcome]) -> bool:
    """Whether outcomes are those of a transaction of this page: their types, names, and each name once.

    Where the resource is shown its identifier has to be the one that was sent in its place.
    """
    if any(outcome.resource_type == "Observation" for outcome in found[: transaction.around]):
        return False
    names: set[str] = set()
    entries = zip(transaction.rows.tolist(), transaction.creates, found[transaction.around :], strict=True)
    for row, created, outcome in entries:
        if outcome.done:
            name = outcome.fhir_id or ("" if created else page.remote_id[row])
            if not name or name in names or not _fits(page, row, name, outcome, created=created):
                return False
            names.add(name)
    return True


def said(resource: Mapping[str, Any]) -> dict[str, Any]:
    """What an Observation says, without the names that a server gives."""
    return {name: value for name, value in resource.items() if name not in _NOT_COMPARED}


def _fits(page: Page, row: int, name: str, outcome: Outcome, *, created: bool) -> bool:
    if outcome.resource_type not in {"Observation", ""}:
        return False
    if not created and name != page.remote_id[row]:
        return False
    return not outcome.identifiers or _identifier(page, row) in outcome.identifiers


def _identifier(page: Page, row: int) -> str:
    """Our own identifier of a reading."""
    series = page.series
    identity = series.devices[int(series.device_id[row])].identity
    return reading_identifier(
        device_digest(series.patient_uuid, identity),
        int(series.recorded_at[row]),
        int(series.sequence[row]),
        int(series.ordinal[row]),
        Kind(int(series.kind[row])),
    )
