"""The vectors of a profile: bytes that such a device sends, and the readings they are.

A JSON list beside the profile's module, under its name. Each entry:
`characteristic` ("0x2A18"), `hex` (a text; a list of texts where one measurement comes in several values),
`source` (where these bytes are public), and either `readings` (a list of `kind`, `values` and, where the
device tells one, `time`) or `refused` (the reason). `context`: hex of what comes beside it; `read`: by
characteristic, hex of what is read before; `note`: anything.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from device_profiles.errors import PasserelleError
from device_profiles.meanings.meaning import Heard
from device_profiles.profile import DeviceProfile
from device_profiles.reading import Quantity, Reading
from gateway.ble.arrivals import Arrivals
from gateway.file_errors import why

MADE_UP: Final = "made up by passerelle profiles new"
"""The source of vectors that are nobody's yet."""
_HEARD_AT: Final = datetime.fromisoformat("2024-01-08T12:00:00+00:00")
"""When the values come, for a device without a clock."""


class VectorsUnreadable(PasserelleError):
    """A vectors file with a mistake."""

    sentence = "The vectors in {file} cannot be used: {where}: {reason}."


@dataclass(frozen=True, slots=True)
class Vector:
    """One entry of the file."""

    characteristic: int
    values: tuple[bytes, ...]
    source: str
    context: bytes | None
    read: Mapping[int, bytes]
    readings: tuple[Mapping[str, Any], ...]
    refused: str | None

    @property
    def shown(self) -> str:
        """The bytes, for a sentence."""
        return " ".join(value.hex().upper() for value in self.values)


def read_vectors(path: Path) -> tuple[Vector, ...]:
    """The vectors of a file; none where there is no file. Raises VectorsUnreadable."""
    try:
        entries = json.loads(path.read_bytes())
    except FileNotFoundError:
        return ()
    except OSError as error:
        raise VectorsUnreadable(file=path.name, where="-", reason=why(error)) from None
    except json.JSONDecodeError as error:
        raise VectorsUnreadable(file=path.name, where=f"line {error.lineno}", reason=error.msg) from None
    except ValueError as error:
        raise VectorsUnreadable(file=path.name, where="-", reason=str(error)) from None
    if not isinstance(entries, list):
        raise VectorsUnreadable(file=path.name, where="-", reason="it is no list")
    return tuple(_vector(path, place, entry) for place, entry in enumerate(entries, start=1))


def _vector(path: Path, place: int, entry: Any) -> Vector:
    try:
        texts = entry["hex"] if isinstance(entry["hex"], list) else [entry["hex"]]
        if ("readings" in entry) == ("refused" in entry):
            raise ValueError("it needs either readings or refused")  # noqa: TRY301 - told below, with its place
        return Vector(
            characteristic=_number(entry["characteristic"]),
            values=tuple(bytes.fromhex(text) for text in texts),
            source=str(entry["source"]),
            context=bytes.fromhex(entry["context"]) if "context" in entry else None,
            read={_number(uuid): bytes.fromhex(text) for uuid, text in entry.get("read", {}).items()},
            readings=tuple(dict(one) for one in entry.get("readings", ())),
            refused=entry.get("refused"),
        )
    except KeyError as error:
        reason = f"{error.args[0]} is missing"
    except (TypeError, ValueError, AttributeError) as error:
        reason = str(error)
    raise VectorsUnreadable(file=path.name, where=f"entry {place}", reason=reason)


def _number(text: str) -> int:
    return int(text, 16)


def arrived(profile: DeviceProfile, vector: Vector) -> Arrivals:
    """What the gateway makes of a vector."""
    arrivals = Arrivals(profile, lambda: Heard(_HEARD_AT, values=vector.read))
    for value in vector.values:
        arrivals.measurement(value, vector.characteristic)
    if vector.context is not None:
        arrivals.context(vector.context)
    arrivals.end()
    return arrivals


def told(reading: Reading) -> dict[str, Any]:
    """A reading as a vectors file writes it."""
    answer: dict[str, Any] = {"kind": reading.kind.slug}
    if reading.device_time is not None:
        answer["time"] = reading.device_time.base.isoformat()
    answer["values"] = {one.of.name.lower().replace("_", "-"): _quantity(one) for one in reading.quantities}
    if reading.context is not None and reading.context.meal is not None:
        answer["meal"] = reading.context.meal
    return answer


def entry_of(
    characteristic: int,
    values: Sequence[bytes],
    context: bytes | None,
    readings: Sequence[Reading],
    source: str,
) -> dict[str, Any]:
    """An entry of a vectors file."""
    shown = [value.hex().upper() for value in values]
    return {
        "characteristic": f"0x{characteristic:04X}",
        "hex": shown[0] if len(shown) == 1 else shown,
        **({} if context is None else {"context": context.hex().upper()}),
        "readings": [told(reading) for reading in readings],
        "source": source,
    }


def _quantity(quantity: Quantity) -> str:
    if quantity.absent is not None or quantity.value is None:
        name = "absent" if quantity.absent is None else quantity.absent.name.lower().replace("_", "-")
        return f"{name} {quantity.unit}"
    return f"{quantity.value:f} {quantity.unit}"


def differences(expected: Mapping[str, Any], reading: Reading) -> list[str]:
    """What a reading says otherwise than was expected of it; what is not named is not judged."""
    said = told(reading)
    values = dict(expected.get("values", {}))
    wrong = [
        f"{name}: {said['values'].get(name)} ≠ {wanted}"
        for name, wanted in values.items()
        if said["values"].get(name) != wanted
    ]
    named = {"kind", "time", "meal"} & expected.keys()
    wrong += [
        f"{name}: {said.get(name)} ≠ {expected[name]}"
        for name in sorted(named)
        if said.get(name) != expected[name]
    ]
    return wrong
