"""`passerelle decode`: what bytes on a characteristic say."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from typing import Annotated, Any

import typer

from gateway import terminal
from gateway.commands.options import Json


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command(name="decode")(decode)


def decode(
    characteristic: Annotated[str, typer.Argument(help="Such as 2A18, or SFLOAT.")],
    values: Annotated[
        list[str] | None, typer.Argument(metavar="[HEX]...", help="Hexadecimal; - reads lines.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Decode values of a characteristic, one line of answer for each; exit 1 if any cannot be decoded."""
    from device_profiles.decode import decoder
    from device_profiles.errors import PasserelleError

    try:
        decode_one = decoder(characteristic)
    except PasserelleError as error:
        terminal.note(error.sentence, **error.details)
        raise SystemExit(2) from None
    failed = False
    for text in _texts(values or ["-"]):
        answer = _answer(decode_one, text)
        failed |= not answer["ok"]
        if as_json:
            terminal.write_json(answer)
        else:
            _write_plain(answer)
    raise SystemExit(1 if failed else 0)


def _texts(values: list[str]) -> Iterator[str]:
    for value in values:
        if value == "-":
            yield from (line.strip() for line in sys.stdin if line.strip())
        else:
            yield value


def _answer(decode_one: Any, text: str) -> dict[str, Any]:
    from device_profiles.errors import MalformedMeasurement

    digits = text.replace(" ", "").replace(":", "").replace("-", "").removeprefix("0x").removeprefix("0X")
    try:
        return {"ok": True, "value": decode_one(bytes.fromhex(digits))}
    except MalformedMeasurement as error:
        return {
            "ok": False,
            "reason": error.reason,
            "error": terminal.tr(
                "These bytes are no value of this characteristic ({reason}).", **error.details
            ),
        }
    except ValueError:
        return {"ok": False, "reason": "invalid_hex", "error": terminal.tr("This is not hexadecimal.")}


def _write_plain(answer: dict[str, Any]) -> None:
    if not answer["ok"]:
        terminal.say(answer["error"])
        return
    print("  ".join(f"{name}={json.dumps(value)}" for name, value in answer["value"].items()))  # noqa: T201
