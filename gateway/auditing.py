"""Whether the logs of who looked are whole, also at their ends: the heads that were seen before lie beside.

A chain of digests shows what was changed or taken out of it, not what is missing at its end. So each look
keeps the head that it saw in the home, outside of the database: who can write the one cannot write the other
by that alone. Receipts of erasures and `audit verify` print heads too, to be kept wherever a person likes.
"""

from __future__ import annotations

import json
import logging
import os
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from gateway.claimed import Job
from gateway.home import Home
from gateway.retaining import EVERY
from storage import access_log
from storage.access_log import Head, Verdict
from storage.errors import MalformedHead

logger = logging.getLogger(__name__)

HEADS: Final = "access-log-heads.json"
"""In the home: head by the number of its patient, no name."""


def job(home: Home) -> Job:
    """A look a day; what is wrong is told in the log of the house, and to whoever asks."""

    async def work() -> None:
        wrong = sum(not verdict.whole for verdict in await verify(home))
        if wrong:
            logger.warning("%d access logs are not whole: passerelle audit verify", wrong)

    return Job("audit", EVERY, work)


async def verify(
    home: Home,
    patient_id: int | None = None,
    *,
    known: Head | None = None,
    accept: bool = False,
) -> list[Verdict]:
    """Look at the log of one patient, or of everybody, and keep the heads of those that are whole.

    `known`: a head that was kept elsewhere. `accept`: take the logs as they are now, whatever was seen
    before, as after a restore.
    """
    seen = {} if accept else _seen(home)
    found = []
    async with home.database.writer() as connection:
        numbers = await access_log.whose(connection) if patient_id is None else (patient_id,)
        wanted = dict.fromkeys(numbers) if patient_id is not None else dict.fromkeys((*numbers, *seen))
        for number in wanted:
            heads = [head for head in (seen.get(number), known) if head is not None]
            found.append(await access_log.verify(connection, number, heads))
    _keep(home, {**_seen(home), **{each.patient_id: each.head for each in found if each.whole}})
    return found


def _seen(home: Home) -> dict[int, Head]:
    """The heads that were seen before; a file that cannot be read is none, as where there never was one."""
    try:
        kept = json.loads(_path(home).read_text())
        return {int(number): Head.parse(text) for number, text in kept.items()}
    except (OSError, ValueError, AttributeError, MalformedHead):
        return {}


def _keep(home: Home, heads: Mapping[int, Head]) -> None:
    """Whole or as it was."""
    path = _path(home)
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    content = json.dumps({str(number): str(head) for number, head in sorted(heads.items())})
    with open(draft, "x", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
        file.write(content)
    draft.replace(path)


def _path(home: Home) -> Path:
    return home.settings.home / HEADS
