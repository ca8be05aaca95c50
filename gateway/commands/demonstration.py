"""`passerelle demo`: the whole journey, to watch."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from gateway import terminal
from gateway.commands.options import Json


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command(name="demo")(demo)


def demo(
    once: Annotated[bool, typer.Option("--once", help="End after the journey.")] = False,
    port: Annotated[int | None, typer.Option(min=1, max=65535, help="The port of the page.")] = None,
    as_json: Json = False,
) -> None:
    """The whole way of a measurement, on a virtual meter, from the radio to the page a clinician opens."""
    terminal.run(_demo(once or not terminal.is_interactive(), port, as_json))


async def _demo(once: bool, port: int | None, as_json: bool) -> None:
    from gateway.demo import demonstration
    from gateway.serve import free_port, stop_on_signals
    from gateway.settings import DEFAULT_SHELF_PORT

    def narrate(sentence: str, **fields: object) -> None:
        terminal.step(sentence, **fields)

    stop = stop_on_signals()
    async with demonstration(narrate, port or free_port(DEFAULT_SHELF_PORT)) as outcome:
        if as_json:
            terminal.write_json(asdict(outcome))
        else:
            terminal.say("Open this link:")
            print(f"\n{outcome.share_url}\n", flush=True)  # noqa: T201
        if not once:
            terminal.note("It opens until you press Ctrl-C; then everything of the demo is removed.")
            await stop.wait()
