"""All checks, each within its time limit; one that fails or hangs is a finding, and never ends the others."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from device_profiles.errors import PasserelleError
from gateway.doctor import findings, machine, radio, service, store
from gateway.doctor.findings import Finding, State, found, of_error
from gateway.home import Home, opened
from gateway.settings import Settings

T = TypeVar("T", Settings, Home)


@dataclass(frozen=True, slots=True)
class Check(Generic[T]):
    """One thing to look at, and how many seconds that may take."""

    name: str
    look: Callable[[T], Awaitable[Sequence[Finding]]]
    seconds: float = 10.0


@dataclass(frozen=True, slots=True)
class Examined:
    """What one check found."""

    check: str
    findings: tuple[Finding, ...]


OF_MACHINE: Final[tuple[Check[Settings], ...]] = (
    Check("program", machine.program),
    Check("service", service.service),
    Check("home", machine.home),
    Check("disk", machine.disk),
    Check("clock", machine.clock),
    Check("radio", radio.radio, 30.0),
)

OF_HOME: Final[tuple[Check[Home], ...]] = (
    Check("disk", store.damage),
    Check("bonds", store.bonds),
    Check("sync", store.syncs),
    Check("shelf", store.shelf),
    Check("waiting", store.waiting),
)

DATABASE_SECONDS: Final = 75.0
"""A server that was killed replays its log first, for which `storage.embedded` gives it a minute."""


async def examine(settings: Settings) -> list[Examined]:
    """Look at everything. Changes nothing, and raises nothing."""
    of_machine = await asyncio.gather(*(_examined(check, settings) for check in OF_MACHINE))
    return [*of_machine, *await _of_store(settings)]


async def _of_store(settings: Settings) -> list[Examined]:
    """The database, and with it in order all that is read from it; the server is started once."""
    async with AsyncExitStack() as holding:

        async def look(of: Settings) -> Sequence[Finding]:
            return await store.database(of, holding)

        database = await _examined(Check("database", look, DATABASE_SECONDS), settings)
        if not store.may_open(settings, database.findings):
            return [database]
        try:
            home = await holding.enter_async_context(opened(settings))
        except PasserelleError as error:
            return [database, Examined("home", (of_error("home", error),))]
        rest = [await _examined(check, home) for check in OF_HOME]
    return [database, *(each for each in rest if each.findings)]


async def _examined(check: Check[T], of: T) -> Examined:
    try:
        async with asyncio.timeout(check.seconds):
            return Examined(check.name, tuple(await check.look(of)))
    except PasserelleError as error:
        told = of_error(check.name, error)
    except TimeoutError:
        told = found(findings.TOO_SLOW, {"seconds": check.seconds}, seconds=round(check.seconds))
    except Exception as error:  # noqa: BLE001 - whatever it is: somebody waits for what the others find
        kind = type(error).__name__
        told = found(findings.NOT_LOOKED, {"error": kind}, kind=kind)
    return Examined(check.name, (told,))


def is_bad(examined: Sequence[Examined]) -> bool:
    """Whether something does not work."""
    return any(each.state is State.BAD for one in examined for each in one.findings)
