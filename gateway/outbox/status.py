"""How far each space was told, for the person who feeds it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Final

from gateway.home import Home
from gateway.outbox.connections import dialect_named
from storage import deliveries, patients, spaces
from storage.deliveries import State
from storage.spaces import Space


class Condition(StrEnum):
    """How it stands with a space."""

    CURRENT = "current"
    """It was told everything."""
    WAITING = "waiting"
    """Something waits for the next try."""
    PAUSED = "paused"
    """The last try failed; there is another."""
    SHUT = "shut"
    """It does not let this gateway in, or is not what it was: somebody has to do something."""
    DISCONNECTED = "disconnected"


_SHUT: Final = {"SpaceRefusesGateway", "SpaceForbids", "SpaceRefuses", "SpaceMoved", "SpaceNeedsHttps"}
"""Problems that waiting does not mend."""


@dataclass(frozen=True, slots=True)
class SpaceStatus:
    """A space with what became of what it was to be told, in numbers of readings.

    `waiting`: readings that it was told nothing of. `changes`: readings that it was told of, which are looked
    at again since something about them, or about one beside them, changed.

    `shown`: of those told, how many it shows in an older version, since it takes no changes; `to_erase`: what
    it is still to erase. `refusals`: why readings were refused, in the space's words, and how many.
    """

    space: Space
    condition: Condition
    told: int
    waiting: int
    changes: int
    refused: int
    shown: int
    to_erase: int
    refusals: tuple[tuple[str, int], ...]


async def followed(home: Home, name: str | None = None) -> list[SpaceStatus]:
    """The spaces of one person or of everybody. Raises UnknownPatient."""
    async with home.database.writer() as conn:
        if name is None:
            found = await spaces.every(conn)
        else:
            patient = await patients.find(conn, name)
            found = await spaces.of_patient(conn, patient.patient_id)
    return [await status_of(home, space) for space in found]


async def status_of(home: Home, space: Space) -> SpaceStatus:
    """How it stands with one space."""
    async with home.database.writer() as conn:
        counts = await deliveries.counts(conn, space)
        refusals = await deliveries.refusals(conn, space)
        pending = await spaces.pending(conn, space)
        waiting = changes = 0
        if space.disconnected_at is None:
            waiting, changes = await deliveries.waiting(conn, space, pending)
    to_erase = counts[State.TO_ERASE]
    can_erase = dialect_named(space.dialect).takes_changes
    return SpaceStatus(
        space,
        _condition(space, waiting or len(pending.stretches) or (can_erase and to_erase)),
        told=counts[State.TOLD] + counts[State.SHOWN],
        waiting=waiting,
        changes=changes,
        refused=counts[State.REFUSED],
        shown=counts[State.SHOWN],
        to_erase=to_erase,
        refusals=refusals,
    )


def _condition(space: Space, open_: int) -> Condition:
    if space.disconnected_at is not None:
        return Condition.DISCONNECTED
    if space.problem in _SHUT:
        return Condition.SHUT
    if space.problem is not None or (space.not_before and space.not_before > datetime.now(UTC)):
        return Condition.PAUSED
    return Condition.WAITING if open_ else Condition.CURRENT
