"""`passerelle serve` and `passerelle shelf`: the roles of a machine that stays on."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gateway import terminal
from gateway.commands.options import Json

if TYPE_CHECKING:
    from socket import socket

    from gateway.home import Home
    from gateway.serve import Role

LOOPBACK = "127.0.0.1"


def register(app: typer.Typer) -> None:
    """Add the commands to `app`."""
    app.command(name="serve")(serve)
    shelf = typer.Typer(
        help="For who runs a shelf: which gateways may put links on it.", no_args_is_help=True
    )
    shelf.command(name="enrol")(enrol)
    app.add_typer(shelf, name="shelf")


def serve(
    role: Annotated[
        list[str] | None,
        typer.Option(
            "--role",
            metavar="gateway|shelf|space",
            help="What this machine is; gateway and shelf unless given.",
        ),
    ] = None,
    host: Annotated[str, typer.Option(help="The address to listen on.")] = LOOPBACK,
    port: Annotated[int | None, typer.Option(min=1, max=65535, help="The port to listen on.")] = None,
    certificate: Annotated[
        Path | None, typer.Option(metavar="FILE", help="For a space: its certificate, as PEM, for HTTPS.")
    ] = None,
    key: Annotated[
        Path | None, typer.Option(metavar="FILE", help="For a space: the certificate's private key, as PEM.")
    ] = None,
    until_eof: Annotated[bool, typer.Option("--until-eof", hidden=True)] = False,
) -> None:
    """Keep sharing: the shelf that others open links from, the gateway's own jobs, or a space for many."""
    from gateway.serve import Role

    try:
        roles = {Role(name) for name in role or (Role.GATEWAY, Role.SHELF)}
    except ValueError:
        raise typer.BadParameter("gateway, shelf or space", param_hint="--role") from None
    if Role.SPACE in roles and len(roles) > 1:
        raise typer.BadParameter("a space is a process of its own: serve it alone", param_hint="--role")
    if Role.SPACE not in roles and (certificate or key):
        raise typer.BadParameter("this is for a space", param_hint="--certificate")
    if (certificate is None) != (key is None):
        raise typer.BadParameter("a certificate and its key come together", param_hint="--certificate")
    if certificate is not None and key is not None:
        terminal.run(_serve(roles, host, port, until_eof, (certificate, key)))
    else:
        terminal.run(_serve(roles, host, port, until_eof))


async def _serve(
    roles: set[Role], host: str, port: int | None, until_eof: bool, tls: tuple[Path, Path] | None = None
) -> None:
    from gateway.serve import Role, stop_at_eof, stop_on_signals
    from gateway.settings import DEFAULT_GATEWAY_PORT, DEFAULT_SHELF_PORT, DEFAULT_SPACE_PORT

    stop = stop_on_signals()
    if until_eof:
        stop_at_eof(stop)
    if roles == {Role.SPACE}:
        await _space(host, port or DEFAULT_SPACE_PORT, stop, tls)
    elif roles == {Role.SHELF}:
        await _shelf(host, port or DEFAULT_SHELF_PORT, stop)
    elif roles == {Role.GATEWAY}:
        await _gateway(host, port or DEFAULT_GATEWAY_PORT, stop)
    else:
        await _both(host, port or DEFAULT_SHELF_PORT, stop)


async def _shelf(host: str, port: int, stop: asyncio.Event) -> None:
    from gateway.api.health import Watch
    from gateway.api.shelf import ShelfSettings, create_shelf_app
    from gateway.serve import address_of, is_loopback, listening_socket, serve_app, sweep_shelf
    from gateway.settings import SHELF_ADDRESS, shelf_of
    from gateway.shelf_home import opened_shelf

    with listening_socket(host, port) as listening:
        async with opened_shelf() as (settings, database):
            if not is_loopback(host):
                terminal.note(
                    "Browsers open sealed links over HTTPS only, except on this machine itself: "
                    "put a server that speaks HTTPS in front of this one."
                )
            terminal.say(
                "The shelf listens on http://{host}:{port}. Stop it with Ctrl-C.", host=host, port=port
            )
            own_address = address_of(host, listening.getsockname()[1])
            public_url = settings.public_url or own_address or shelf_of(settings)
            (settings.home / SHELF_ADDRESS).write_text(public_url)
            watched = Watch.of(database, settings, shelf=True)
            app = create_shelf_app(database, ShelfSettings(public_url, watch=watched))
            await asyncio.gather(
                sweep_shelf(database, stop), serve_app(app, listening, stop, settings.stop_seconds)
            )


async def _gateway(host: str, port: int, stop: asyncio.Event) -> None:
    from gateway.home import opened
    from gateway.serve import PageBeyondHere, is_loopback, listening_socket

    if not is_loopback(host):
        raise PageBeyondHere
    with listening_socket(host, port) as listening:
        async with opened() as home:
            await _work(home, listening, stop)


async def _work(home: Home, listening: socket, stop: asyncio.Event) -> None:
    """The gateway itself: its page on `listening`, its watcher and its jobs."""
    from gateway.events import Events
    from gateway.opening import announced
    from gateway.serve import PAGE_STOP_SECONDS, address_of, serve_app, serve_gateway
    from gateway.watch_limits import WATCH_LIMITS
    from gateway.watching import Station
    from gateway.web.app import create_page_app

    terminal.say("The gateway works in the background. Stop it with Ctrl-C.")
    terminal.say(
        "It listens for your meters {listen} seconds in every {every}, or in every {attended} "
        "while your page is open, and not at all while no meter is paired.",
        listen=terminal.plain(WATCH_LIMITS.listen),
        every=terminal.plain(WATCH_LIMITS.listen + WATCH_LIMITS.rest),
        attended=terminal.plain(WATCH_LIMITS.listen + WATCH_LIMITS.rest_attended),
    )
    station = Station(home, Events())
    stop_seconds = min(home.settings.stop_seconds, PAGE_STOP_SECONDS)
    own, port = listening.getsockname()[:2]
    with announced(home.settings.home, address_of(own, port) or "") as announcement:
        app = create_page_app(home, station, announcement)
        await asyncio.gather(
            serve_gateway(home, station, stop), serve_app(app, listening, stop, stop_seconds)
        )


async def _space(host: str, port: int, stop: asyncio.Event, tls: tuple[Path, Path] | None) -> None:
    from gateway.serve import is_loopback, listening_socket, serve_app
    from gateway.space.serving import opened_space, secured, space_address

    secure = secured(tls)
    with listening_socket(host, port) as listening:
        address = space_address(host, listening.getsockname()[1], secure=secure is not None)
        async with opened_space(address, sweep_until=stop) as (app, settings):
            terminal.say("The space listens on {address}. Stop it with Ctrl-C.", address=address)
            if secure is None and not is_loopback(host):
                terminal.note(
                    "Between the server that speaks HTTPS and this one nothing is encrypted: let nobody else "
                    "reach {host} on port {port}.",
                    host=host,
                    port=listening.getsockname()[1],
                )
            await serve_app(app, listening, stop, settings.stop_seconds, secure)


async def _both(host: str, port: int, stop: asyncio.Event) -> None:
    from gateway.home import opened
    from gateway.serve import free_port, listening_socket, shelf_process
    from gateway.settings import DEFAULT_GATEWAY_PORT

    listening_socket(host, port).close()  # a port in use is said here, in one sentence
    with listening_socket(LOOPBACK, free_port(DEFAULT_GATEWAY_PORT)) as listening:
        async with shelf_process(host, port) as shelf, opened() as home:
            ended = asyncio.create_task(shelf.wait())
            ended.add_done_callback(lambda _: stop.set())
            await _work(home, listening, stop)
            if shelf.returncode:
                raise SystemExit(1)


def enrol(
    label: Annotated[str, typer.Argument(help="Which gateway it is for, as you will recognise it.")],
    as_json: Json = False,
) -> None:
    """Make a token for a gateway elsewhere; it sets it as PASSERELLE_SHELF_TOKEN."""

    async def command() -> None:
        from gateway.shelf_home import new_token, opened_shelf

        async with opened_shelf() as (_, database):
            token = await new_token(database, label)
        if as_json:
            terminal.write_json({"label": label, "token": token})
        else:
            terminal.say("The token, shown this once: {token}", token=token)

    terminal.run(command())
