"""`passerelle`, and `passerelle open`: the person's page."""

from __future__ import annotations

from typing import Annotated

import typer

from gateway import terminal


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command(name="open")(open_page)


def open_page(
    print_only: Annotated[
        bool, typer.Option("--print", help="Print the address instead of opening a browser.")
    ] = False,
) -> None:
    """Open your page in the browser: today's values, your devices, what you share."""

    async def command() -> None:
        from gateway import settings as configuration
        from gateway.opening import opened_address, show

        address = await opened_address(configuration.load())
        if not print_only and show(address):
            terminal.say("Your page is open in the browser.")
            return
        if not print_only:
            terminal.note(
                "No browser could be opened here. Open this address on this computer within a minute:"
            )
        print(address, flush=True)  # noqa: T201

    terminal.run(command())
